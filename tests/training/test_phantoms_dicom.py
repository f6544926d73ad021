"""Phantoms and wrapped pictures as DICOM: what is written can be read back, and strangers' validators accept it."""

import argparse
import csv
import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from PIL import Image

from models.findings import Answer
from training.phantoms.cli import add_arguments, run
from training.phantoms.dicom import (
    CHEST,
    SYNTAXES,
    Header,
    System,
    compressed,
    image_dataset,
    knee_dataset,
    picture_dataset,
    save,
    uid,
)
from training.phantoms.knee import knee_phantom

needs_dciodvfy = pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dciodvfy (dicom3tools) is not installed")


def _errors(path):
    checked = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, timeout=30, check=False)
    return [line for line in (checked.stdout + checked.stderr).splitlines() if line.startswith("Error")]


@pytest.fixture(scope="module")
def phantom():
    return knee_phantom(4, answer=Answer.BENIGN, rows=240, columns=200)


@needs_dciodvfy
@pytest.mark.parametrize("monochrome1", [False, True], ids=["monochrome2", "monochrome1"])
@pytest.mark.parametrize("system", list(System))
def test_dciodvfy_finds_no_error(tmp_path, phantom, system, monochrome1):
    ds = knee_dataset(phantom, Header("a", system=system, monochrome1=monochrome1))
    assert _errors(save(ds, tmp_path / "knee.dcm")) == []


@needs_dciodvfy
def test_dciodvfy_finds_no_error_in_a_chest_and_in_a_wrapped_picture(tmp_path):
    chest = image_dataset(np.zeros((64, 64), np.uint16), 12, Header("c", body_part=CHEST, view="PA"))
    picture = tmp_path / "p.png"
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(picture)
    for ds in (chest, picture_dataset(picture, Header("p")), picture_dataset(picture, Header("q"), shape=(40, 30))):
        assert _errors(save(ds, tmp_path / "x.dcm")) == []


@pytest.mark.parametrize("monochrome1", [False, True], ids=["monochrome2", "monochrome1"])
@pytest.mark.parametrize("syntax", sorted(SYNTAXES))
def test_every_transfer_syntax_gives_the_phantoms_pixels_back(tmp_path, phantom, syntax, monochrome1):
    ds = compressed(knee_dataset(phantom, Header("a", monochrome1=monochrome1)), syntax)
    read = pydicom.dcmread(save(ds, tmp_path / "knee.dcm"))
    assert read.file_meta.TransferSyntaxUID == SYNTAXES[syntax]
    expected = 4095 - phantom.pixels if monochrome1 else phantom.pixels
    assert np.array_equal(read.pixel_array, expected)


def test_identifiers_follow_from_the_key_alone(phantom):
    first, again, other = (knee_dataset(phantom, Header(k, study_key="s")) for k in ("a", "a", "b"))
    assert first.SOPInstanceUID == again.SOPInstanceUID != other.SOPInstanceUID
    assert first.StudyInstanceUID == other.StudyInstanceUID
    assert first.PatientID == other.PatientID
    assert uid("a", "b") != uid("ab")
    assert len(first.SOPInstanceUID) <= 64


def test_the_header_tells_view_laterality_body_part_and_spacing(phantom):
    ds = knee_dataset(phantom, Header("a"))
    assert ds.BodyPartExamined == "KNEE"
    assert ds.ViewPosition == phantom.view.value
    assert ds.ImageLaterality == phantom.laterality
    assert list(ds.ImagerPixelSpacing) == [phantom.spacing_mm] * 2


def test_a_picture_is_wrapped_as_it_is_or_enlarged_without_turning_it(tmp_path):
    picture = tmp_path / "p.png"
    grey = np.zeros((8, 12), np.uint8)
    grey[:, 6:] = 200
    Image.fromarray(grey).save(picture)
    as_is = picture_dataset(picture, Header("p"))
    assert as_is.BitsAllocated == 8
    assert np.array_equal(as_is.pixel_array, grey)
    enlarged = picture_dataset(picture, Header("p"), shape=(80, 120))
    assert enlarged.pixel_array.shape == (80, 120)
    assert enlarged.pixel_array[40, 100] == pytest.approx(200 * 4095 / 255, abs=1)
    assert enlarged.pixel_array[40, 10] == 0


def test_colour_is_no_radiograph():
    with pytest.raises(ValueError, match=r"\(rows, columns\)"):
        image_dataset(np.zeros((4, 4, 3), np.uint8), 8, Header("a"))


def _run(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args([str(w) for w in words]))


def test_the_command_writes_dicom_with_masks(tmp_path):
    assert _run("--out", tmp_path, "--count", 2, "--rows", 96, "--columns", 80, "--answer", "benign") == 0
    files = sorted(tmp_path.glob("*.dcm"))
    assert [f.name for f in files] == ["knee-00001-benign.dcm", "knee-00002-benign.dcm"]
    mask = np.asarray(Image.open(tmp_path / "knee-00001-benign.mask.png"))
    assert mask.shape == (96, 80)
    assert set(np.unique(mask)) <= {0, 255}


@pytest.mark.parametrize("system", list(System))
def test_the_command_writes_the_truth_of_each_tumour_as_a_segment_of_the_image(tmp_path, system):
    _run("--out", tmp_path, "--seed", 30, "--count", 6, "--rows", 151, "--columns", 127, "--system", system.value)
    counts = []
    for path in sorted((tmp_path / "truth").glob("*.dcm")):
        truth, image = pydicom.dcmread(path), pydicom.dcmread(tmp_path / path.name)
        mask = np.asarray(Image.open(tmp_path / f"{path.stem}.mask.png")) > 0
        frames = truth.pixel_array.reshape(-1, 151, 127)
        assert np.array_equal(frames.sum(axis=0), mask), "segments do not overlap"
        answer = path.stem.rpartition("-")[2]
        assert len(frames) == len(truth.SegmentSequence) == truth.NumberOfFrames
        assert all(segment.SegmentLabel.startswith(f"{answer} ") for segment in truth.SegmentSequence)
        for group in truth.PerFrameFunctionalGroupsSequence:
            source = group.DerivationImageSequence[0].SourceImageSequence[0]
            assert source.ReferencedSOPInstanceUID == image.SOPInstanceUID
        assert (truth.StudyInstanceUID, truth.PatientID) == (image.StudyInstanceUID, image.PatientID)
        assert "FrameOfReferenceUID" not in image
        counts.append(len(frames))
        if shutil.which("dciodvfy"):
            assert _errors(path) == []
    assert len(counts) >= 3
    assert max(counts) > 1, "one image shows several"


def test_a_normal_knee_is_named_and_not_segmented(tmp_path):
    _run("--out", tmp_path, "--rows", 96, "--columns", 80, "--answer", "normal", "--count", 2)
    assert (tmp_path / "normals.txt").read_text() == "knee-00001-normal\nknee-00002-normal\n"
    assert not (tmp_path / "truth").exists()


def test_the_command_writes_pictures_for_training(tmp_path):
    _run("--out", tmp_path, "--count", 4, "--rows", 96, "--columns", 80, "--layout", "pictures")
    rows = list(csv.DictReader((tmp_path / "labels.csv").read_text().splitlines()))
    assert len(rows) == 4
    for row in rows:
        assert (tmp_path / "images" / f"{row['image_id']}.png").exists()
        assert (tmp_path / "masks" / f"{row['image_id']}.png").exists() == (row["cls"] != "normal")


def test_the_command_wraps_pictures_and_writes_chests(tmp_path):
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "seen.png")
    _run("--out", tmp_path, "--wrap", tmp_path / "seen.png", "--rows", 64, "--columns", 64, "--system", "CR")
    _run("--out", tmp_path, "--part", "chest", "--rows", 64, "--columns", 64, "--syntax", "rle")
    assert pydicom.dcmread(tmp_path / "seen.dcm").Modality == "CR"
    assert pydicom.dcmread(tmp_path / "chest-00001.dcm").BodyPartExamined == "CHEST"


def test_the_command_refuses_an_image_too_small_to_hold_a_knee(tmp_path):
    with pytest.raises(SystemExit, match="at least 64"):
        _run("--out", tmp_path, "--rows", 10)
