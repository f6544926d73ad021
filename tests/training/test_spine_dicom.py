"""Phantom spines as DICOM: what the node reads of them, and that the way back to the pixels is exact."""

import json

import numpy as np
import pydicom
import pytest

from models.spine_study import sequence_of
from models.volume import volume
from node.facts.geometry import Plane
from node.facts.mr import FatSuppression, Weighting
from node.headers import facts_of
from training import cli
from training.phantoms.spine import Kind, spine_patient
from training.phantoms.spine_dicom import datasets, truth
from training.phantoms.spine_tissue import Weight

ALL = (Weight.T1, Weight.T2, Weight.FS, Weight.STIR, Weight.T1C)


@pytest.fixture(scope="module")
def patient():
    return spine_patient(5, kind=Kind.MALIGNANT, weights=ALL, side=96)


def test_a_stack_is_read_as_it_was_drawn_from_left_to_right(patient):
    for series, made in zip(patient.series, datasets(patient), strict=True):
        sequence = sequence_of(volume(made[::-1]))
        assert np.array_equal(sequence.stack, series.pixels[::-1].astype(np.float32)), "sorted along the normal"
        assert sequence.spacing.row_mm == pytest.approx(series.row_mm, abs=1e-5)
        assert len(sequence.images) == len(series.pixels)


def test_the_node_reads_plane_weighting_and_contrast_agent_as_they_were_drawn(patient):
    facts = {
        series.told.weight: facts_of(made[0]) for series, made in zip(patient.series, datasets(patient), strict=True)
    }
    assert all(each.geometry.plane is Plane.SAGITTAL for each in facts.values())
    assert [facts[weight].mr.weighting for weight in ALL] == [
        Weighting.T1,
        Weighting.T2,
        Weighting.T2,
        Weighting.STIR,
        Weighting.T1,
    ]
    assert facts[Weight.FS].mr.fat_suppression is FatSuppression.FAT_SAT
    assert [facts[weight].mr.has_contrast for weight in ALL] == [False] * 4 + [True]


def test_boxes_of_the_truth_name_the_image_they_are_on(patient):
    told = truth(patient)
    named = {str(ds.SOPInstanceUID) for made in datasets(patient) for ds in made}
    assert set(told["boxes"]) <= named
    assert sum(map(len, told["boxes"].values())) == sum(len(series.boxes) for series in patient.series)


def test_the_command_writes_studies_and_arrays(tmp_path):
    assert cli.main(["phantoms", "--out", str(tmp_path), "--part", "spine", "--answer", "benign", "--seed", "3"]) == 0
    files = sorted(tmp_path.rglob("*.dcm"))
    assert files
    ds = pydicom.dcmread(files[0])
    assert ds.Modality == "MR"
    assert ds.PatientAge.endswith("Y")
    assert json.loads(next(tmp_path.rglob("truth.json")).read_text())["kind"] == "benign"
    arrays = tmp_path / "arrays"
    assert cli.main(["phantoms", "--out", str(arrays), "--part", "spine", "--layout", "arrays", "--seed", "3"]) == 0
    assert [path.suffix for path in arrays.iterdir()] == [".npz"]


def test_a_system_without_a_command_says_so(capsys, tmp_path):
    arguments = ["ablate", "limb", "--data", str(tmp_path), "--bundle", str(tmp_path), "--kind", "real"]
    assert cli.main(arguments) == 2
    assert "limb has no ablate" in capsys.readouterr().err
