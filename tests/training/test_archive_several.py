"""Labelled DICOM studies of several series: hands by kind, spines as benign or malignant, patients kept together."""

import numpy as np
import pydicom
import pytest

from tests.training import outlined_spines
from training.archive.folder import load
from training.archive.stacks import weighting
from training.archive.verdicts import kind_of
from training.errors import DataFault
from training.hand import archive as hands
from training.hand.commands import patients
from training.hand.dataset import case_of
from training.phantoms import hand_dicom
from training.phantoms.hand import Plane, hand_patient
from training.phantoms.hand_tissue import HandKind
from training.phantoms.spine_tissue import Weight
from training.spine import archive as spines
from training.spine import commands

PROTOCOL = ((Weight.T1, Plane.AXIAL), (Weight.FS, Plane.CORONAL), (Weight.STIR, Plane.SAGITTAL))


@pytest.fixture(scope="module")
def drawn():
    return [
        hand_patient(3 + n, kinds=(kind,), protocol=PROTOCOL, step_mm=2.0) for n, kind in enumerate((HandKind(3), None))
    ]


@pytest.fixture
def folder(drawn, tmp_path):
    for patient in drawn:
        hand_dicom.write(patient, tmp_path)
    return tmp_path


def as_drawn(found, wanted):
    """Slices may come in the other direction."""
    return (
        found
        if np.array_equal(found.mask, wanted.mask)
        else found.__class__(
            found.weighting, found.plane, found.stack[::-1], found.mask[::-1], found.spacing_mm, found.slice_mm
        )
    )


def test_hands_come_back_from_dicom_with_their_kind_series_by_series(folder, drawn):
    sick, normal = sorted(patients(folder), key=lambda case: case.kind == 0)
    assert (sick.kind, normal.kind) == (3, 0)
    twin = case_of(drawn[0])
    shown = [scan for scan in twin.scans if scan.mask.any()]
    assert shown, "the phantom shows its tumour"
    assert len(sick.scans) == len(shown)
    for scan in shown:
        (mine,) = [each for each in sick.scans if (each.weighting, each.plane) == (scan.weighting, scan.plane)]
        found = as_drawn(mine, scan)
        assert np.array_equal(found.mask, scan.mask)
        assert np.abs(found.stack.astype(int) - scan.stack).max() <= 2
        assert found.spacing_mm == pytest.approx(scan.spacing_mm, abs=1e-4)
        assert found.slice_mm == pytest.approx(scan.slice_mm, abs=1e-3)
    assert len(normal.scans) == len(PROTOCOL), "every series of a hand that is known to be normal"
    assert not any(scan.mask.any() for scan in normal.scans)


def test_a_label_that_names_no_kind_is_told_with_its_study(folder):
    for path in folder.glob("hand-*/truth/*.dcm"):
        ds = pydicom.dcmread(path)
        ds.SegmentSequence[0].SegmentLabel = "tumour"
        ds.save_as(path)
    with pytest.raises(
        DataFault, match=r"study hand-00003-lipoma: Its labels are to name one of ganglion, .* name none"
    ):
        patients(folder)


def test_kinds_are_read_in_the_words_of_readers():
    words = ("Giant-Cell_Tumor of tendon sheath", "GCTTS left", "Hemangioma; Neoplasm", "Neurilemmoma", "ganglion cyst")
    assert [hands.kind_of([each]) for each in words] == [2, 2, 4, 5, 1]
    with pytest.raises(DataFault, match="they name ganglion and lipoma"):
        hands.kind_of(["lipoma", "ganglion"])


def test_two_studies_of_one_hand_are_one_case(folder):
    for path in folder.rglob("*.dcm"):
        ds = pydicom.dcmread(path)
        ds.PatientID = "SAME"
        ds.save_as(path)
    with pytest.raises(DataFault, match="are of one patient and show"):
        patients(folder)
    (folder / "normals.txt").unlink()
    (case,) = patients(folder)
    assert case.name == "hand-00003-lipoma"


@pytest.fixture(scope="module")
def spine_folder(tmp_path_factory):
    """A phantom as the command writes it: a spine with a malignant tumour."""
    home = tmp_path_factory.mktemp("spines")
    return home, outlined_spines.write(home)


def test_spines_come_back_with_boxes_class_and_age(spine_folder):
    home, patient = spine_folder
    (case,) = commands.patients(home)
    assert (case.kind, case.age) == (2, float(int(patient.age)))
    assert f"malignant {patient.tumours[0]} 1" in case.detail
    assert sorted(scan.weighting for scan in case.scans) == sorted(each.told.weight.value for each in patient.series)
    for series in patient.series:
        (scan,) = [each for each in case.scans if each.weighting == series.told.weight.value][:1]
        edges, _, _ = spines.boxes_of(series.lesions)
        assert sorted(map(tuple, scan.boxes.tolist())) == sorted(map(tuple, edges.tolist()))
        assert scan.band.middle.shape == (scan.stack.shape[1],)
        assert scan.band.middle.min() >= scan.boxes[:, 0].min()


def test_a_lesion_has_one_number_in_all_series(spine_folder):
    (case,) = commands.patients(spine_folder[0])
    middles = {}
    for scan in case.scans:
        for number, box in zip(scan.lesions, scan.boxes, strict=True):
            middles.setdefault(int(number), []).append((box[1] + box[3]) / 2 * scan.spacing_mm)
    assert sorted(middles) == list(range(1, len(middles) + 1))
    assert all(np.ptp(each) < 2 * spines.SAME_MM for each in middles.values())


def test_what_is_benign_and_what_malignant_must_be_said():
    words = ("Haemangioma L2", "benign", "Metastasis", "malignant tumour", "Osteochondroma", "chondrosarcoma")
    assert [kind_of([each]) for each in words] == [1, 1, 2, 2, 1, 2]
    assert kind_of(["malignant giant cell tumour", "tumour 2"]) == 2, "a word for it goes before the kind"
    with pytest.raises(DataFault, match="neither benign nor malignant"):
        kind_of(["tumour 1", "tumour 2"])
    for both in (["schwannoma", "metastasis"], ["benign 1", "malignant 2"], ["benign or malignant"]):
        with pytest.raises(DataFault, match="both benign and malignant"):
            kind_of(both)


def test_boxes_are_the_rectangles_around_the_voxels_of_a_slice():
    lesions = np.zeros((2, 6, 8), dtype=np.uint8)
    lesions[1, 2:4, 3:7], lesions[1, 5, 0] = 2, 1
    boxes, slices, numbers = spines.boxes_of(lesions)
    assert boxes.tolist() == [[0, 5, 1, 6], [3, 2, 7, 4]]
    assert (slices.tolist(), numbers.tolist()) == ([1, 1], [1, 2])


@pytest.mark.parametrize("told", ["061Y", "006M", "", None], ids=["years", "months", "empty", "absent"])
def test_an_age_is_in_years(told):
    ds = pydicom.Dataset()
    if told is not None:
        ds.PatientAge = told
    assert spines.age_of(ds) == {"061Y": 61.0, "006M": 0.5}.get(told)


def test_every_weighting_that_a_phantom_has_is_read_from_its_header(tmp_path):
    protocol = tuple((weight, Plane.AXIAL) for weight in Weight)
    home = hand_dicom.write(hand_patient(5, kinds=(None,), protocol=protocol, step_mm=2.5), tmp_path)
    for weight in Weight:
        (images,) = home.glob(f"*-{weight.value}-axial")
        assert weighting(load(next(images.glob("*.dcm")))) == weight.value
