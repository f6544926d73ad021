"""Labelled DICOM radiographs: from phantom to reader and back, patients kept together, and every fault by its name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage

from models.findings import Answer
from models.images import radiograph
from models.pixels import normalise, resize
from models.volume import Grid
from node.report.kind import Kind
from node.report.profile import Profile, SegmentationType
from tests.node.report.made_cases import radiograph as reported
from tests.training.test_archive_structures import runs
from tests.training.test_rtstruct import structure_set
from training import cli
from training.errors import DataFault
from training.knee import commands
from training.knee.dataset import read
from training.knee.layouts import grey, layout_of
from training.phantoms.dicom import Header, System, image_dataset, knee_dataset, save
from training.phantoms.knee import knee_phantom
from training.phantoms.truth_seg import segmentation_of_radiograph

SHAPE = {"rows": 151, "columns": 127}
"""Neither rows nor columns fill whole bytes."""
ANSWERS = (Answer.NORMAL, Answer.BENIGN, Answer.MALIGNANT)


def drawn(seed: int, answer: Answer):
    return next(
        made
        for made in (knee_phantom(seed + 1000 * turn, answer=answer, **SHAPE) for turn in range(20))
        if made.mask.any() or answer is Answer.NORMAL
    )


def put(folder: Path, seed: int, answer: Answer, *, patient: str, study: str, view: int = 1, label: str = "") -> Path:
    """An image, with its label where one is asked for; all images of a study lie in its folder."""
    phantom = drawn(seed, answer)
    header = Header(f"{study} {view}", study, System.DX, patient_id=patient, instance_number=view)
    ds = knee_dataset(phantom, header)
    if label:
        truth = segmentation_of_radiograph(ds, (phantom.mask > 0).astype(np.uint8), [label], phantom.spacing_mm)
        save(truth, folder / study / "truth" / f"{view}.dcm")
    return save(ds, folder / study / f"{view}.dcm")


def outlines(image: Path, name: str, *, refers: bool = True, scale: float = 1.0, tilt_mm: float = 0.0) -> Dataset:
    """A structure set in place of the segmentation of an image, of the same pixels."""
    path = image.parent / "truth" / image.name
    ds, mask = pydicom.dcmread(image), pydicom.dcmread(path).pixel_array.astype(bool)
    spacing = float(ds.ImagerPixelSpacing[0])
    grid = Grid(np.zeros(3), np.eye(3)[::-1], (1.0, spacing, spacing), (1, *mask.shape))
    lines = [points * (scale, scale, 1.0) for points in runs(mask[None], grid)]
    lines[0][0, 2] += tilt_mm
    made = structure_set({name: ("", lines)})
    for line in made.ROIContourSequence[0].ContourSequence:
        line.ContourImageSequence[0].ReferencedSOPInstanceUID = ds.SOPInstanceUID
        if not refers:
            del line.ContourImageSequence
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = (
        RTStructureSetStorage,
        f"{ds.SOPInstanceUID[:50]}.7",
        "RTSTRUCT",
    )
    made.StudyInstanceUID, made.SeriesInstanceUID = ds.StudyInstanceUID, f"{ds.SOPInstanceUID[:50]}.8"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = (
        made.SOPClassUID,
        made.SOPInstanceUID,
    )
    save(made, path)
    return made


@pytest.mark.parametrize(
    "options",
    [(), ("--system", "CR", "--monochrome1"), ("--syntax", "jpeg-ls")],
    ids=["DX", "CR with dark bone", "compressed"],
)
def test_what_phantoms_writes_by_default_is_read_as_it_was_drawn(tmp_path, options):
    for answer in ANSWERS:
        size = ("--rows", "151", "--columns", "127", "--seed", "40", "--count", "3")
        assert cli.main(["phantoms", "--out", str(tmp_path), "--answer", answer.value, *size, *options]) == 0
    data, layout = read(tmp_path, 64), layout_of(tmp_path)
    assert len(set(data.patients)) == len(data.names) == len(layout.rows)
    assert np.bincount(data.labels).tolist()[0] == 3, "normals are named"
    assert set(data.labels) == {0, 1, 2}
    for place, name in enumerate(data.names):
        stem, answer = Path(name).stem, ANSWERS[data.labels[place]]
        assert stem.endswith(answer.value)
        phantom = knee_phantom(int(stem.split("-")[1]), answer=answer, **SHAPE)
        assert np.array_equal(grey(tmp_path, name), phantom.pixels), "bone is bright, however it is stored"
        wanted = np.asarray(Image.open(tmp_path / f"{stem}.mask.png")) > 0
        assert np.array_equal(wanted, phantom.mask > 0)
        if data.labels[place]:
            assert np.array_equal(layout.mask(name), wanted)
        assert data.masks[place].any() == (data.labels[place] > 0)
        seen = np.rint(resize(normalise(phantom.pixels.astype(np.float32)), (64, 64)) * 255.0)
        assert np.array_equal(data.images[place], seen.astype(np.uint8))


def test_pixels_come_as_the_node_decodes_them(tmp_path):
    """Rescaled, inverted, and behind the shutter nothing; the window of the image is for people."""
    path = put(tmp_path, 3, Answer.BENIGN, patient="A", study="a", label="benign")
    ds = pydicom.dcmread(path)
    ds.RescaleSlope, ds.RescaleIntercept, ds.WindowCenter, ds.WindowWidth = "2", "-100", "300", "10"
    ds.ShutterShape, ds.ShutterLeftVerticalEdge, ds.ShutterRightVerticalEdge = "RECTANGULAR", 10, 120
    ds.ShutterUpperHorizontalEdge, ds.ShutterLowerHorizontalEdge = 10, 140
    ds.save_as(path)
    found = grey(tmp_path, "a/1.dcm")
    assert np.array_equal(found, radiograph(ds).pixels)
    assert np.unique(found[:9]).size == 1
    assert found[20, 20] == 2.0 * float(drawn(3, Answer.BENIGN).pixels[20, 20]) - 100.0


@pytest.fixture
def several(tmp_path):
    """Of 60 patients each has one to three studies of one or two images, of noise, so that none are near duplicates."""
    rng, normals = np.random.default_rng(4), []
    for number in range(60):
        answer = ANSWERS[number % 3]
        for study in (f"{number:02d}-{place}" for place in range(int(rng.integers(1, 4)))):
            normals += [study] if answer is Answer.NORMAL else []
            for view in range(1, int(rng.integers(1, 3)) + 1):
                pixels, mask = rng.integers(0, 256, (40, 32), dtype=np.uint8), np.zeros((40, 32), dtype=np.uint8)
                ds = image_dataset(pixels, 8, Header(f"{study} {view}", study, patient_id=f"ID{number}"))
                save(ds, tmp_path / study / f"{view}.dcm")
                if answer is not Answer.NORMAL:
                    mask[5:20, 5:20] = 1
                    truth = segmentation_of_radiograph(ds, mask, [answer.value], 0.15)
                    save(truth, tmp_path / study / f"{view}-truth.dcm")
    (tmp_path / "normals.txt").write_text("\n".join(normals))
    return tmp_path


def test_no_patient_is_in_two_parts_or_tests_where_he_trains(several):
    data = read(several, 32)
    patients = np.array(data.patients)
    assert len(set(patients)) == 60 < len(patients)
    made = data.split()
    parts = [set(patients[list(part)]) for part in (made.train, made.validation, made.test)]
    assert [len(part) for part in parts] == [60 - 3 * 4 - 3 * 2, 3 * 2, 3 * 4]
    assert set.union(*parts) == set(patients)
    assert (sum(map(len, (made.train, made.validation, made.test))), made.dropped) == (len(patients), ())
    for part in (made.train, made.validation, made.test):
        assert set(data.labels[list(part)]) == {0, 1, 2}
    turns = data.folds(5)
    tested = [set(patients[list(turn.test)]) for turn in turns]
    assert sum(map(len, tested)) == 60
    assert set.union(*tested) == set(patients), "everyone tests once"
    for turn, mine in zip(turns, tested, strict=True):
        assert not mine & set(patients[list(turn.train)])
    assert (data.groups, len(set(data.blocks))) == ("patients", 60)
    for patient in set(patients):
        assert len(set(data.blocks[patients == patient])) == 1


def test_a_card_tells_patients_and_not_blocks_of_ids(several):
    data = read(several, 32)
    assert commands._described(data, "real").startswith(f"{len(data.names)} radiographs (CR, DX) of 60 patients, ")
    assert commands._split_words(data).startswith("By patient, drawn by SHA-256")
    assert not any(patient in commands._described(data, "real") for patient in data.patients)


def test_too_few_patients_for_three_parts_are_told(tmp_path):
    put(tmp_path, 3, Answer.BENIGN, patient="A", study="a", label="benign")
    data = read(tmp_path, 32)
    with pytest.raises(DataFault, match=r"1 patients are too few .* needs five"):
        data.split()


def test_an_image_without_a_label_is_left_out_and_each_has_its_own(tmp_path):
    put(tmp_path, 3, Answer.BENIGN, patient="A", study="a", view=1, label="osteochondroma")
    put(tmp_path, 4, Answer.MALIGNANT, patient="A", study="a", view=2, label="osteosarcoma")
    put(tmp_path, 5, Answer.MALIGNANT, patient="A", study="a", view=3)
    put(tmp_path, 6, Answer.BENIGN, patient="B", study="b")
    assert layout_of(tmp_path).rows == (("a/1.dcm", 1), ("a/2.dcm", 2))


@pytest.mark.parametrize("refers", [True, False], ids=["refers", "the only image"])
def test_an_outline_is_the_mask_of_its_segmentation(tmp_path, refers):
    path = put(tmp_path, 3, Answer.MALIGNANT, patient="A", study="a", label="malignant")
    wanted = layout_of(tmp_path).mask("a/1.dcm")
    outlines(path, "Osteosarcoma", refers=refers)
    layout = layout_of(tmp_path)
    assert layout.rows == (("a/1.dcm", 2),)
    assert wanted.any()
    assert np.array_equal(layout.mask("a/1.dcm"), wanted)


@pytest.mark.parametrize("encoding", [SegmentationType.BINARY, SegmentationType.FRACTIONAL, SegmentationType.LABELMAP])
def test_what_the_node_sends_is_a_label_too(tmp_path, encoding):
    """As a reader who agrees keeps it; 304 x 216 pixels fill whole bytes, so that both lesions share an object."""
    case = reported(shape=(304, 216), lesions=2).asking(profile=replace(Profile(), segmentation=encoding))
    save(case.sources[0].datasets[0], tmp_path / "a" / "1.dcm")
    save(case.one(Kind.SEG), tmp_path / "a" / "ai.dcm")
    layout = layout_of(tmp_path)
    assert layout.rows == (("a/1.dcm", 2),)
    assert np.array_equal(layout.mask("a/1.dcm") > 0, case.findings.sources[0].mask[0] > 0)


def test_an_outline_is_in_the_millimetres_that_viewers_believe_first(tmp_path):
    path = put(tmp_path, 3, Answer.BENIGN, patient="A", study="a", label="benign")
    wanted = layout_of(tmp_path).mask("a/1.dcm")
    outlines(path, "benign", scale=0.9)
    ds = pydicom.dcmread(path)
    ds.PixelSpacing = [round(0.9 * float(value), 6) for value in ds.ImagerPixelSpacing]
    ds.save_as(path)
    assert np.array_equal(layout_of(tmp_path).mask("a/1.dcm"), wanted)


def relabelled(path: Path, change) -> None:
    ds = pydicom.dcmread(path)
    change(ds)
    ds.save_as(path)


def elsewhere(ds: Dataset) -> None:
    for group in ds.PerFrameFunctionalGroupsSequence:
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID = "1.2.3.4.5"


def untold(ds: Dataset) -> None:
    for group in ds.PerFrameFunctionalGroupsSequence:
        del group.DerivationImageSequence
    del ds.ReferencedSeriesSequence


def unclassed(ds: Dataset) -> None:
    ds.SegmentSequence[0].SegmentLabel = "tumour"


def both(ds: Dataset) -> None:
    ds.SegmentSequence[0].SegmentLabel = "benign or malignant"


def resized(ds: Dataset) -> None:
    ds.Rows, ds.Columns = ds.Columns, ds.Rows


def emptied(ds: Dataset) -> None:
    ds.PixelData = bytes(len(ds.PixelData))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (elsewhere, r"study a: A label refers to an image that is none of the 2 radiographs of its study\. Put"),
        (untold, r"study a: A label does not say which of 2 images it was drawn on"),
        (unclassed, r"study a: image 1\.dcm: Its labels say neither benign nor malignant\. Write"),
        (both, r"study a: image 1\.dcm: Its labels say both benign and malignant"),
        (resized, r"image 1\.dcm: The segmentation has frames of \(127, 151\) pixels, the images \(151, 127\)"),
        (emptied, r"image 1\.dcm: A label names an image and outlines nothing on it"),
    ],
    ids=["another image", "no reference", "no class", "two classes", "another size", "empty"],
)
def test_a_segmentation_that_does_not_fit_is_told_with_its_study(tmp_path, change, said):
    put(tmp_path, 3, Answer.BENIGN, patient="A", study="a", view=1, label="benign")
    put(tmp_path, 5, Answer.BENIGN, patient="A", study="a", view=2)
    relabelled(tmp_path / "a" / "truth" / "1.dcm", change)
    with pytest.raises(DataFault, match=said):
        read(tmp_path, 32)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "benign",
            {"scale": 20.0},
            r"A contour lies up to \d+ pixels beyond the image of 151 x 127 pixels of 1\.\d+ x",
        ),
        ("benign", {"tilt_mm": 4.0}, r"A contour spans 4\.0 mm across the plane of the image; 0\.5 mm is flat"),
        ("benign", {"refers": False}, r"A label does not say which of 2 images"),
        ("GTV", {}, r"Its labels say neither benign nor malignant"),
    ],
    ids=["off the image", "in space", "no reference", "no class"],
)
def test_a_structure_set_that_does_not_fit_is_told_with_its_study(tmp_path, name, options, said):
    path = put(tmp_path, 3, Answer.BENIGN, patient="A", study="a", view=1, label="benign")
    put(tmp_path, 5, Answer.BENIGN, patient="A", study="a", view=2)
    outlines(path, name, **options)
    with pytest.raises(DataFault, match=rf"study a: .*{said}"):
        read(tmp_path, 32)


def test_a_damaged_image_is_named(tmp_path):
    path = put(tmp_path, 3, Answer.BENIGN, patient="A", study="a", label="benign")
    ds = pydicom.dcmread(path)
    ds.PixelData = ds.PixelData[:100]
    ds.save_as(path)
    with pytest.raises(DataFault, match=r"a/1\.dcm is no radiograph that is read here: "):
        read(tmp_path, 32)


def test_a_folder_of_other_images_says_what_was_looked_for(tmp_path):
    path = put(tmp_path, 3, Answer.BENIGN, patient="A", study="a", label="benign")
    path.unlink()
    with pytest.raises(DataFault, match=r"holds 0 studies of radiographs \(CR, DX\), none with a segmentation"):
        read(tmp_path, 32)
