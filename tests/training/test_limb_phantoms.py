"""Phantom limbs: seeded, their tumours where the truth says, and read back as an archive is."""

from pathlib import Path

import numpy as np
import pytest

from training import cli
from training.limb.commands import SYSTEM
from training.phantoms import limb_dicom
from training.phantoms.limb import LimbPatient, limb_patient


@pytest.fixture(scope="module")
def patient() -> LimbPatient:
    return limb_patient(91016, tumours=1, region="thigh")


def test_the_same_seed_draws_the_same_patient(patient: LimbPatient) -> None:
    again, other = limb_patient(91016, tumours=1, region="thigh"), limb_patient(91017, tumours=1, region="thigh")
    assert np.array_equal(patient.pixels, again.pixels)
    assert np.array_equal(patient.lesions, again.lesions)
    assert not np.array_equal(patient.pixels, other.pixels)


def test_fat_is_bright_and_a_tumour_is_nearly_as_muscle(patient: LimbPatient) -> None:
    tumour = np.median(patient.pixels[patient.lesions > 0])
    body = patient.pixels[patient.pixels > 0.25 * tumour]
    assert np.percentile(body, 99) > 2.0 * tumour, "T1: fat and marrow"
    assert 0.6 * tumour < np.median(body) < 1.6 * tumour, "most of a limb is muscle"


def test_a_tumour_lies_in_soft_tissue_and_in_the_limb(patient: LimbPatient) -> None:
    for seed in range(1, 6):
        drawn = limb_patient(seed, tumours=1)
        if drawn.kinds:
            air = np.percentile(drawn.pixels, 5)
            assert np.median(drawn.pixels[drawn.lesions > 0]) > 3.0 * air
    assert set(np.unique(patient.lesions)) == {0, 1}
    assert not limb_patient(3, tumours=0).lesions.any()


def test_what_the_command_writes_is_read_as_an_archive(tmp_path: Path) -> None:
    asked = ["phantoms", "--part", "limb", "--count", "4", "--seed", "90001", "--out", str(tmp_path)]
    assert cli.main(asked) == 0
    cases = {case.patient: case for case in SYSTEM.read(tmp_path)}
    assert len(cases) == 4
    for seed in range(90001, 90005):
        drawn = limb_patient(seed)
        case = cases[f"PL{seed:08d}"]
        assert np.array_equal(case.mask, drawn.lesions > 0)
        assert case.spacing == pytest.approx(drawn.spacing, rel=1e-3)


def test_each_slice_says_where_it_lies(patient: LimbPatient) -> None:
    first, *_, last = limb_dicom.datasets(patient)
    assert (first.Modality, first.BodyPartExamined, first.ScanningSequence) == ("MR", "THIGH", "SE")
    assert float(last.ImagePositionPatient[2]) == pytest.approx(31 * patient.spacing[0], rel=1e-3)


def test_arrays_are_no_layout_of_a_limb(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="limb has no arrays"):
        cli.main(["phantoms", "--part", "limb", "--layout", "arrays", "--out", str(tmp_path)])
