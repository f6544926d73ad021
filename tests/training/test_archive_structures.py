"""Hands and spines outlined in structure sets (RTSTRUCT): the same cases as from segmentations of the same voxels."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage

from models.volume import Grid, volume
from tests.training import outlined_spines
from tests.training.test_rtstruct import structure_set
from training.archive.cases import lesions_of
from training.archive.folder import Study, load, studies
from training.archive.rtstruct import contours, names
from training.archive.stacks import labelled
from training.errors import DataFault
from training.hand import commands as hand_commands
from training.phantoms import hand_dicom
from training.phantoms.dicom import save
from training.phantoms.hand import Plane, hand_patient
from training.phantoms.hand_tissue import HandKind
from training.phantoms.spine_tissue import Weight
from training.spine import commands as spine_commands

PROTOCOL = ((Weight.T1, Plane.AXIAL), (Weight.STIR, Plane.SAGITTAL))


def runs(mask: np.ndarray, grid: Grid) -> list[np.ndarray]:
    """Around every run of voxels in a row, along the edges of their pixels; mm in the patient's coordinates."""
    drawn = []
    for place, row in np.argwhere(mask.any(axis=2)):
        steps = np.diff(np.concatenate(([0], mask[place, row].astype(int), [0])))
        for left, right in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True):
            corners = (
                (row - 0.5, left - 0.5),
                (row - 0.5, right - 0.5),
                (row + 0.5, right - 0.5),
                (row + 0.5, left - 0.5),
            )
            drawn.append(np.array([grid.point(np.array([place, *corner], dtype=float)) for corner in corners]))
    return drawn


def in_place_of_segmentation(study: Study, name: str, beside: tuple[str, ...] = ()) -> None:
    """Each SEG of a study becomes a structure set of the same series, with one region for each lesion."""
    for path in study.segmentations:
        label = load(path)
        series = str(label.ReferencedSeriesSequence[0].SeriesInstanceUID)
        images = [load(each) for each in study.images[series]]
        grid = volume(images).grid
        lesions = lesions_of([label], grid)
        regions = {f"{name} {n}": ("", runs(lesions == n, grid)) for n in np.unique(lesions[lesions > 0])}
        corner = [grid.point(np.array([0.0, *each])) for each in ((0, 0), (0, 9), (9, 9), (9, 0))]
        ds = structure_set(regions | {told: ("", [np.array(corner)]) for told in beside})
        ds.StudyInstanceUID, ds.SeriesInstanceUID = images[0].StudyInstanceUID, f"{series[:50]}.7"
        ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = RTStructureSetStorage, f"{series[:50]}.7.1", "RTSTRUCT"
        ds.PatientID, ds.PatientName = images[0].PatientID, images[0].PatientName
        ds.ReferencedFrameOfReferenceSequence = [Dataset()]
        told = Dataset()
        told.RTReferencedSeriesSequence = [Dataset()]
        told.RTReferencedSeriesSequence[0].SeriesInstanceUID = series
        ds.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence = [told]
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        save(ds, path.with_name(f"{path.stem}-structures.dcm"))
        path.unlink()


def outlined(folder: Path, name: str, beside: tuple[str, ...] = ()) -> None:
    for study in studies(folder):
        in_place_of_segmentation(study, name, beside)


@pytest.fixture(scope="module")
def hand():
    return hand_patient(3, kinds=(HandKind(3),), protocol=PROTOCOL, step_mm=2.0)


@pytest.mark.parametrize("beside", [(), ("Body", "Oedema")], ids=["alone", "beside other regions"])
def test_a_hand_that_was_outlined_is_the_case_of_its_segmentation(hand, tmp_path, beside):
    hand_dicom.write(hand, tmp_path)
    (wanted,) = hand_commands.patients(tmp_path)
    outlined(tmp_path, "Lipoma", beside)
    assert not list(studies(tmp_path)[0].segmentations)
    (found,) = hand_commands.patients(tmp_path)
    assert (found.kind, found.name) == (3, wanted.name)
    assert len(found.scans) == len(wanted.scans) > 0
    for mine, its in zip(found.scans, wanted.scans, strict=True):
        assert (mine.weighting, mine.plane) == (its.weighting, its.plane)
        assert np.array_equal(mine.mask, its.mask)
        assert mine.mask.any()
        assert np.array_equal(mine.stack, its.stack)


def test_a_region_that_names_no_kind_is_told_with_its_study(hand, tmp_path):
    hand_dicom.write(hand, tmp_path)
    outlined(tmp_path, "GTV")
    with pytest.raises(
        DataFault, match=r"study hand-00003-lipoma: Its labels are to name one of ganglion, .* name none"
    ):
        hand_commands.patients(tmp_path)


@pytest.fixture
def spine(tmp_path):
    """A malignant tumour as segments, in every series."""
    outlined_spines.write(tmp_path)
    return tmp_path


def test_a_spine_that_was_outlined_has_the_boxes_of_its_segmentation(spine):
    (wanted,) = spine_commands.patients(spine)
    outlined(spine, "Metastasis", ("Canal",))
    (found,) = spine_commands.patients(spine)
    assert (found.kind, found.age, found.name) == (2, wanted.age, wanted.name)
    assert "Metastasis 1" in found.detail
    assert len(found.scans) == len(wanted.scans) > 0
    for mine, its in zip(found.scans, wanted.scans, strict=True):
        boxes = [sorted(zip(scan.slices.tolist(), scan.boxes.tolist(), strict=True)) for scan in (mine, its)]
        assert boxes[0] == boxes[1]
        assert np.array_equal(mine.stack, its.stack)


DRAWN = [np.array([(0.0, 0.0, 0.0), (4.0, 0.0, 0.0), (4.0, 4.0, 0.0)])]


@pytest.mark.parametrize(
    "kind", ["Metastasis 1", "Haemangioma", "hemangioma", "ganglion_cyst", "GCTTS", "Schwannoma L2"]
)
def test_of_several_regions_those_named_for_a_kind_of_tumour_are_the_tumour(kind):
    ds = structure_set({"Body": ("", DRAWN), kind: ("", DRAWN), "oedema of " + kind: ("", DRAWN)})
    assert names(ds) == (kind,)
    assert len(contours(ds)) == 1


def test_a_region_called_a_tumour_goes_before_one_that_is_named_for_a_kind():
    ds = structure_set({"cyst": ("", DRAWN), "tumour": ("", DRAWN)})
    assert names(ds) == ("tumour",)


def test_what_is_described_of_a_region_is_said_of_it_too(spine):
    outlined(spine, "GTV")
    for path in spine.rglob("*-structures.dcm"):
        ds = pydicom.dcmread(path)
        for item in ds.StructureSetROISequence:
            item.ROIDescription = "metastasis of a carcinoma"
        ds.save_as(path)
    (study,) = studies(spine)
    assert set(labelled(study)[1]) >= {"GTV 1; metastasis of a carcinoma"}
    assert spine_commands.patients(spine)[0].kind == 2
