"""Labelled DICOM studies: what is drawn comes back voxel by voxel, patients stay together, faults are named."""

import shutil
from copy import deepcopy as copy_of
from pathlib import Path

import numpy as np
import pydicom
import pytest

from node.headers import facts_of
from training import cli
from training.archive.b_values import b_values
from training.archive.folder import LABEL_MAP, NORMALS, load, studies
from training.archive.seg import lesions
from training.diffusion import dataset
from training.errors import DataFault
from training.phantoms import hand_dicom
from training.phantoms.diffusion import diffusion_patient
from training.phantoms.diffusion_dicom import Dialect, datasets, write
from training.phantoms.hand import hand_patient
from training.stacks.case import folds, split

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def patients():
    drawn = [
        diffusion_patient(20 + n, tumours=2 if n else 0, side=40, slices=6, b_values=(0.0, 400.0, 800.0))
        for n in range(len(Dialect))
    ]
    assert [int(each.lesions.max()) for each in drawn[1:]] == [2] * (len(Dialect) - 1)
    return drawn


@pytest.fixture(scope="module")
def folder(patients, tmp_path_factory):
    home = tmp_path_factory.mktemp("archive")
    for patient, dialect in zip(patients, Dialect, strict=True):
        write(patient, home, dialect)
    return home


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "archive")


def test_images_tumours_and_b_values_come_back_from_dicom_with_segmentations(folder, patients):
    found = {case.name: case for case in dataset.read(folder)}
    assert len(found) == len(patients)
    for patient, dialect in zip(patients, Dialect, strict=True):
        case = found[f"diffusion-{patient.seed:05d}-{dialect}"]
        assert np.array_equal(case.lesions, patient.lesions)
        assert np.array_equal(case.volumes["low"], patient.images[0])
        assert np.array_equal(case.volumes["high"], patient.images[2])
        assert case.b_values == {"low": 0.0, "high": 800.0}
        assert case.spacing == pytest.approx(patient.spacing, abs=1e-4)


def test_what_comes_from_dicom_is_what_comes_from_arrays(folder, patients):
    cases = dataset.read(folder)
    made = {f"{case.name}": case for case in map(dataset.case_of, patients)}
    for case in cases:
        twin = made[f"diffusion-{int(case.name.split('-')[1]):07d}"]
        assert np.array_equal(case.lesions, twin.lesions)
        assert case.b_values == twin.b_values


def test_the_command_line_takes_a_folder_of_dicom(folder, tmp_path, monkeypatch):
    """The system's reader is what `fit`, `export`, `calibrate` and `evaluate` all call."""
    from training.stacks import fit  # torch

    seen = []
    monkeypatch.setattr(fit, "train", lambda system, cases, *rest: seen.extend(cases) or _Net())
    assert cli.main(["fit", "diffusion", "--data", str(folder), "--out", str(tmp_path)]) == 0
    assert len(seen) == len(Dialect)


class _Net:
    def parameters(self):
        return []


def test_the_node_and_training_read_the_same_b_value_in_every_dialect(patients):
    for dialect in Dialect:
        for ds in datasets(patients[1], dialect):
            told = facts_of(ds).mr.diffusion
            assert set(b_values(ds)) == {told.b_value if told.b_value is not None else None}


def test_the_node_and_training_read_the_same_b_value_of_real_scanners():
    if not (SHARED / "mr-dwi").is_dir():
        pytest.skip("the real series are absent (looked for mr-dwi in ../shared/data)")
    told = {}
    for path in sorted((SHARED / "mr-dwi").glob("*/*.dcm"))[::5]:
        ds = load(path)
        facts = facts_of(ds).mr.diffusion if ds.Modality == "MR" and facts_of(ds).mr else None
        if facts is None:
            continue
        wanted = list(facts.frame_b_values) or [facts.b_value]
        assert b_values(ds) == wanted, path.name
        told.setdefault(path.parent.name, set()).update(wanted)
    assert len(told) >= 5


def test_two_studies_of_a_patient_are_never_in_two_parts(copy):
    second = copy / "diffusion-00022-later"
    shutil.copytree(copy / "diffusion-00022-ge", second)
    for path in second.rglob("*.dcm"):
        ds = pydicom.dcmread(path)
        ds.StudyInstanceUID = ds.StudyInstanceUID[:-3] + "777"
        ds.save_as(path)
    cases = dataset.read(copy)
    twice = {case.name for case in cases if case.patient == "PD00000022"}
    assert twice == {"diffusion-00022-ge", "diffusion-00022-later"}
    parts = split(cases)
    for divided in ((parts.train, parts.validation, parts.test), folds(cases, 3)):
        homes = [{case.patient for case in part} for part in divided]
        assert sum(map(len, homes)) == len(set().union(*homes)) == 5


def test_a_study_that_nobody_labelled_is_left_out(copy, caplog):
    shutil.rmtree(copy / "diffusion-00021-siemens" / "truth")
    with caplog.at_level("INFO"):
        assert len(studies(copy)) == len(Dialect) - 1
    assert "Left out 1 of 5 studies" in caplog.text


def test_a_name_of_no_study_among_the_normals_is_told(copy):
    (copy / NORMALS).write_text("diffusion-00020-public\nnobody\n")
    with pytest.raises(DataFault, match=r"names nobody, and there is no such study"):
        studies(copy)


def test_a_normal_study_with_a_label_is_told(copy):
    (copy / NORMALS).write_text("diffusion-00021-siemens\n")
    with pytest.raises(DataFault, match="shows no tumour, and a label lies beside it"):
        studies(copy)


def test_a_folder_of_neither_layout_says_what_was_looked_for(tmp_path):
    with pytest.raises(DataFault, match=r"NAME\.npz, one per patient .*; or DICOM files"):
        dataset.read(tmp_path)


def test_missing_b_values_are_told_with_those_that_are_there(copy):
    for path in (copy / "diffusion-00020-public").glob("*.dcm"):
        ds = pydicom.dcmread(path)
        if ds.DiffusionBValue == 800.0:
            path.unlink()
    with pytest.raises(
        DataFault, match=r"diffusion-00020-public: No image has a b-value from 600 to 1000 .* 0\.0, 400"
    ):
        dataset.read(copy)


def taken_again(ds, factor, number):
    """The same image in another direction, with so many times the signal."""
    twin = copy_of(ds)
    twin.SOPInstanceUID = twin.file_meta.MediaStorageSOPInstanceUID = f"{ds.SOPInstanceUID}.{number}"
    twin.PixelData = np.rint(ds.pixel_array * factor).astype(np.uint16).tobytes()
    return twin


def high_images(study):
    for path in sorted(study.glob("*.dcm")):
        ds = pydicom.dcmread(path)
        if ds.get("DiffusionBValue") == 800.0:
            yield path, ds


def test_directions_without_a_trace_are_their_geometric_mean(copy):
    """Half, once and twice the signal: the mean is the signal itself, to the rounding of stored halves."""
    wanted = next(case for case in dataset.read(copy) if case.name == "diffusion-00020-public")
    for path, ds in high_images(copy / "diffusion-00020-public"):
        for number, factor in enumerate((0.5, 2.0), start=1):
            taken_again(ds, factor, number).save_as(path.with_name(f"{path.stem}-{number}.dcm"))
    case = next(case for case in dataset.read(copy) if case.name == "diffusion-00020-public")
    bright = wanted.volumes["high"] > 200
    assert np.count_nonzero(bright) > 100
    assert case.volumes["high"][bright] == pytest.approx(wanted.volumes["high"][bright], rel=2e-3)
    assert np.array_equal(case.volumes["low"], wanted.volumes["low"])
    assert np.array_equal(case.lesions, wanted.lesions)


def test_a_trace_goes_before_its_directions_and_two_series_alike_are_told(copy):
    study = copy / "diffusion-00020-public"
    wanted = next(case for case in dataset.read(copy) if case.name == study.name)
    for path, ds in high_images(study):
        for number in (1, 2, 3):
            twin = taken_again(ds, 0.5, number)
            twin.SeriesInstanceUID = f"{ds.SeriesInstanceUID}.9"
            twin.save_as(path.with_name(f"{path.stem}-{number}.dcm"))
    case = next(case for case in dataset.read(copy) if case.name == study.name)
    assert np.array_equal(case.volumes["high"], wanted.volumes["high"])
    for path in [*study.glob("*-2.dcm"), *study.glob("*-3.dcm")]:
        path.unlink()
    with pytest.raises(DataFault, match="2 series or kinds of images have this b-value .*Leave the one"):
        dataset.read(copy)


def test_a_map_or_a_phase_with_a_b_value_is_no_signal(copy):
    study = copy / "diffusion-00020-public"
    wanted = next(case for case in dataset.read(copy) if case.name == study.name)
    for path, ds in high_images(study):
        for number, kind in enumerate(("EADC", "P"), start=1):
            twin = taken_again(ds, 0.5, number)
            twin.ImageType = ["DERIVED", "PRIMARY", "DIFFUSION", kind]
            twin.save_as(path.with_name(f"{path.stem}-{number}.dcm"))
    case = next(case for case in dataset.read(copy) if case.name == study.name)
    assert np.array_equal(case.volumes["high"], wanted.volumes["high"])


def test_places_that_were_not_taken_equally_often_are_told(copy):
    path, ds = next(high_images(copy / "diffusion-00020-public"))
    taken_again(ds, 1.0, 1).save_as(path.with_name("again.dcm"))
    with pytest.raises(DataFault, match=r"diffusion-00020-public: Of 6 places 1 were taken 2 times"):
        dataset.read(copy)


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("Rows", 20, "cannot be read|frames of"),
        ("SegmentationType", "OCTREE", "BINARY, FRACTIONAL and LABELMAP are read"),
        ("SegmentationType", "LABELMAP", "8 or 16 bits for each voxel, this one 1"),
        ("SegmentSequence", None, "cannot be read"),
    ],
    ids=["fewer rows", "another type", "bits as a label map", "no segments"],
)
def test_a_damaged_segmentation_is_told_with_its_study(copy, keyword, value, words):
    path = copy / "diffusion-00021-siemens" / "truth" / "lesions.dcm"
    ds = pydicom.dcmread(path)
    if value is None:
        del ds[keyword]
    else:
        setattr(ds, keyword, value)
    ds.save_as(path)
    with pytest.raises(DataFault, match=f"study diffusion-00021-siemens: .*({words})"):
        dataset.read(copy)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_label_map_gives_the_lesions_of_its_binary_twin(copy, bits):
    """One frame per slice, in it the numbers of the segments, which need not begin at 1; 0 and anatomy are none."""
    path = copy / "diffusion-00021-siemens" / "truth" / "lesions.dcm"
    (wanted,) = [case.lesions for case in dataset.read(copy) if case.name == "diffusion-00021-siemens"]
    ds = pydicom.dcmread(path)
    places = {str(f.PlanePositionSequence[0].ImagePositionPatient): f for f in ds.PerFrameFunctionalGroupsSequence}
    pixels = np.zeros((len(places), ds.Rows, ds.Columns), dtype=f"uint{bits}")
    for frame, bit in zip(ds.PerFrameFunctionalGroupsSequence, ds.pixel_array, strict=True):
        at = list(places).index(str(frame.PlanePositionSequence[0].ImagePositionPatient))
        pixels[at][bit > 0] = {1: 7, 2: 3}[frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber]
    pixels[:, 0, 0] = 9
    for frame in places.values():
        del frame.SegmentIdentificationSequence
    first, second = ds.SegmentSequence
    anatomy, nothing = copy_of(first), copy_of(first)
    anatomy.SegmentedPropertyCategoryCodeSequence[0].CodeValue = "123037004"
    first.SegmentNumber, second.SegmentNumber, anatomy.SegmentNumber, nothing.SegmentNumber = 7, 3, 9, 0
    ds.SegmentSequence = [nothing, first, anatomy, second]
    ds.PerFrameFunctionalGroupsSequence, ds.NumberOfFrames = list(places.values()), len(places)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = LABEL_MAP
    ds.SegmentationType, ds.BitsAllocated, ds.BitsStored, ds.HighBit = "LABELMAP", bits, bits, bits - 1
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OB" if bits == 8 else "OW"
    ds.save_as(path)
    (found,) = [case.lesions for case in dataset.read(copy) if case.name == "diffusion-00021-siemens"]
    assert np.array_equal(found, wanted)


def test_a_frame_beside_the_voxels_is_not_moved_onto_them(copy):
    path = copy / "diffusion-00021-siemens" / "truth" / "lesions.dcm"
    ds = pydicom.dcmread(path)
    place = ds.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    place.ImagePositionPatient[0] += 3.0
    ds.save_as(path)
    with pytest.raises(DataFault, match="lies on other voxels than the images"):
        dataset.read(copy)


def test_a_segment_of_anatomy_is_no_lesion(folder):
    ds = load(folder / "diffusion-00021-siemens" / "truth" / "lesions.dcm")
    (case,) = [each for each in dataset.read(folder) if each.name == "diffusion-00021-siemens"]
    ds.SegmentSequence[0].SegmentedPropertyCategoryCodeSequence[0].CodeValue = "123037004"
    first = [load(path) for path in sorted((folder / case.name).glob("*.dcm"))][-6:]
    from models.volume import volume

    assert np.array_equal(lesions(ds, volume(first).grid), (case.lesions == 2).astype(np.uint8))


def test_a_hand_is_written_with_a_segmentation_for_each_series_that_shows_its_tumour(tmp_path):
    from models.volume import volume

    patient = next(each for seed in range(1, 9) if (each := hand_patient(seed)).kind is not None)
    home = hand_dicom.write(patient, tmp_path)
    shown = [number for number, series in enumerate(patient.series, start=1) if series.truth.any()]
    assert sorted(int(path.stem) for path in (home / "truth").glob("*.dcm")) == shown
    number, series = shown[0], patient.series[shown[0] - 1]
    (images,) = home.glob(f"{number:02d}-*")
    stack = volume([load(path) for path in images.glob("*.dcm")])
    found = lesions(load(home / "truth" / f"{number:02d}.dcm"), stack.grid) > 0
    wanted = series.truth > 0
    assert np.array_equal(found, wanted) or np.array_equal(found, wanted[::-1])
