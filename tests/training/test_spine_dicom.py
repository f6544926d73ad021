"""Phantom spines as DICOM: what the node reads of them, and that the way back to the pixels is exact."""

import json
import shutil
import subprocess

import numpy as np
import pydicom
import pytest

from models.spine_study import sequence_of
from models.volume import volume
from node.facts.geometry import Plane
from node.facts.mr import FatSuppression, Weighting
from node.headers import facts_of
from training import cli
from training.archive.folder import studies
from training.archive.stacks import labelled, weighting
from training.phantoms.spine import Kind, spine_patient
from training.phantoms.spine_dicom import datasets, truth, write
from training.phantoms.spine_tissue import Weight
from training.spine.archive import boxes_of
from training.spine.commands import patients
from training.spine.dataset import KINDS

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


def test_the_truth_is_a_segmentation_that_reads_back_as_it_was_drawn(tmp_path):
    folder = tmp_path / "spines"
    kinds = (Kind.BENIGN, Kind.MALIGNANT, Kind.NORMAL)
    drawn = {kind.value: spine_patient(20 + place, kind=kind, side=96) for place, kind in enumerate(kinds)}
    for patient in drawn.values():
        write(patient, folder)
    read = studies(folder)
    assert [study.is_normal for study in read] == [False, False, True]
    for study in read:
        patient = drawn[study.name.rpartition("-")[2]]
        found, said = labelled(study)
        assert all(f"{patient.kind} {patient.tumours[0]}" in each for each in said)
        shown = [series for series in patient.series if series.boxes or study.is_normal]
        assert len(found) == len(shown) > 0
        for series in shown:
            weight = series.told.weight.value
            (mine,) = [each for each in found if weighting(each.header) == weight]
            assert np.array_equal(mine.stack.voxels, series.pixels[::-1])
            assert np.array_equal(mine.lesions > 0, series.lesions[::-1] > 0), "slices come along the normal"
    assert {case.name.rpartition("-")[2]: KINDS[case.kind] for case in patients(folder)} == {
        kind: kind for kind in drawn
    }


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dciodvfy (dicom3tools) is not installed")
def test_dciodvfy_finds_no_error_in_the_truth(tmp_path, patient):
    paths = sorted((write(patient, tmp_path) / "truth").glob("*.dcm"))
    assert len(paths) == sum(bool(series.boxes) for series in patient.series) > 0
    for path in paths:
        asked = ["dciodvfy", "-new", str(path)]
        checked = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=False)
        said = (checked.stdout + checked.stderr).splitlines()
        assert said, "not even its kind"
        assert not [line for line in said if line.startswith("Error")]


def test_boxes_are_around_what_is_outlined():
    shares = []
    for seed in range(8):
        for series in spine_patient(seed, kind=Kind.MALIGNANT, weights=(Weight.T1,)).series:
            edges, slices, lesions = boxes_of(series.lesions)
            told = {(box.slice, box.lesion): (box.left, box.top, box.right, box.bottom) for box in series.boxes}
            assert set(told) == set(zip(slices.tolist(), lesions.tolist(), strict=True))
            for place, number, box in zip(slices, lesions, edges, strict=True):
                wanted = told[int(place), int(number)]
                assert (box >= np.array(wanted) - 1)[:2].all()
                assert (box <= np.array(wanted) + 1)[2:].all()
                shares.append((box[2] - box[0]) * (box[3] - box[1]) / _surface(wanted))
    assert len(shares) > 30
    assert np.median(shares) == pytest.approx(1.0, abs=0.05)


def _surface(edges):
    left, top, right, bottom = edges
    return (right - left) * (bottom - top)


def test_fit_reads_what_the_command_writes_by_default(tmp_path):
    """Two of three patients show a tumour, the third is named as normal."""
    for seed, answer in ((3, "benign"), (4, "malignant"), (5, "normal")):
        asked = ["phantoms", "--part", "spine", "--out", str(tmp_path), "--answer", answer, "--seed", str(seed)]
        assert cli.main(asked) == 0
    found = patients(tmp_path)
    assert [(case.name, KINDS[case.kind]) for case in found] == [
        ("spine-00003-benign", "benign"),
        ("spine-00004-malignant", "malignant"),
        ("spine-00005-normal", "normal"),
    ]
    assert all(len(scan.boxes) > 0 for case in found[:2] for scan in case.scans)
    assert not any(len(scan.boxes) for scan in found[2].scans)


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
