"""The demonstration's own parts: the small PACS keeps and routes bytes as received, samples are whole, tables clear."""

import csv
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from deploy.demonstration import mr_samples, running_node, sending
from deploy.demonstration.archives import OrthancArchive, Returned, SmallArchive
from deploy.demonstration.results import Row, objects, save_overlays, table
from deploy.demonstration.running_node import HOST, DemonstrationFailed, RunningNode, free_port
from deploy.demonstration.samples import REAL, Sample, samples
from deploy.demonstration.small_pacs import Destination, SmallPacs, send
from node.dimse import client
from node.dimse.negotiate import VERIFICATION_CONTEXTS, find_contexts
from node.dimse.query import held_instances, images_in_study, matching_studies
from tests.models import spine_nets
from training.phantoms.dicom import Header, compressed, image_dataset, save


def _until(found, message, deadline_s=20):
    end = time.monotonic() + deadline_s
    while not (value := found()):
        assert time.monotonic() < end, message
        time.sleep(0.02)
    return value


@pytest.fixture
def pacs(tmp_path):
    server = SmallPacs(tmp_path / "pacs", free_port(0))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def images(tmp_path):
    """Two images of one study, one of them compressed."""
    rng = np.random.default_rng(1)
    files = []
    for number, syntax in enumerate(("explicit", "jpeg-ls"), start=1):
        pixels = rng.integers(0, 4096, (40, 30), dtype=np.uint16)
        ds = image_dataset(pixels, 12, Header(f"image {number}", study_key="study", instance_number=number))
        files.append(save(compressed(ds, syntax), tmp_path / f"{number}.dcm"))
    return files


def _bare(path):
    """The data set of a DICOM file without preamble and file meta information."""
    kept = sending._as_kept(path)
    return path.read_bytes()[kept.header_bytes :]


@pytest.mark.parametrize("with_dcmtk", [True, False], ids=["dcmsend where it is", "own client"])
def test_what_is_sent_is_kept_byte_for_byte(pacs, images, monkeypatch, with_dcmtk):
    if not with_dcmtk:
        monkeypatch.setattr(sending.shutil, "which", lambda _name: None)
    sending.send_files(images, pacs.ae_title, pacs.port)
    kept = {k.sop_instance_uid: k for k in pacs.kept()}
    assert len(kept) == 2
    for path in images:
        ds = dcmread(path)
        found = kept[str(ds.SOPInstanceUID)]
        assert found.transfer_syntax_uid == ds.file_meta.TransferSyntaxUID
        assert np.array_equal(dcmread(found.path).pixel_array, ds.pixel_array)
        if not with_dcmtk:
            assert found.path.read_bytes()[found.header_bytes :] == _bare(path)


def test_the_small_pacs_routes_images_on_and_leaves_results_where_they_are(pacs, images, tmp_path):
    node = SmallPacs(tmp_path / "node", free_port(0), ae_title="OSTEON")
    node.start()
    try:
        pacs.route_to = Destination(node.ae_title, HOST, node.port)
        sending.send_files(images, pacs.ae_title, pacs.port)
        _until(lambda: len(node.kept()) == 2, "the images were not routed")
        routed = {k.sop_instance_uid: k.path.read_bytes()[k.header_bytes :] for k in node.kept()}
        held = {k.sop_instance_uid: k.path.read_bytes()[k.header_bytes :] for k in pacs.kept()}
        assert routed == held

        result = image_dataset(np.zeros((8, 8), np.uint16), 12, Header("result", study_key="study"))
        back = sending._as_kept(save(result, tmp_path / "result.dcm"))
        send(Destination(pacs.ae_title, HOST, pacs.port), [back], calling=node.ae_title)
        study = str(result.StudyInstanceUID)
        assert [k.is_result for k in pacs.kept(study)] == [False, False, True]
        with _association(pacs, find_contexts()) as association:
            assert images_in_study(association, study) == 3  # the result says that it is a radiograph, too
            held = held_instances(association, study, str(result.SeriesInstanceUID))
            (told,) = matching_studies(association, study)
        assert held == {str(result.SOPInstanceUID)}
        assert told.PatientID == result.PatientID
        assert len(node.kept()) == 2
    finally:
        node.stop()


def _association(pacs, contexts):
    return client.associate(HOST, pacs.port, calling="TEST", called=pacs.ae_title, contexts=contexts)


def test_the_small_pacs_echoes_and_finds_nothing_of_a_study_it_has_not(pacs):
    with _association(pacs, VERIFICATION_CONTEXTS) as association:
        association.echo()
    with _association(pacs, find_contexts()) as association:
        assert images_in_study(association, "1.2.3") is None


def test_an_image_sent_twice_is_kept_once(pacs, images):
    sending.send_files(images, pacs.ae_title, pacs.port)
    sending.send_files(images, pacs.ae_title, pacs.port)
    assert len(pacs.kept()) == 2


def test_samples_are_made_once_and_found_again(tmp_path, monkeypatch):
    made = []

    def make():
        made.append(1)
        return [image_dataset(np.zeros((8, 8), np.uint16), 12, Header("x"))]

    monkeypatch.setattr("deploy.demonstration.samples.PHANTOMS", (("x", "a knee", "normal", make),))
    first, second = (samples(tmp_path / "samples", tmp_path / "no shared data") for _ in range(2))
    assert first == second
    assert len(made) == 1
    assert first[0].files[0].is_file()
    assert first[0].truth == "normal"


def test_an_mr_study_is_sent_where_a_bundle_answers_it_and_what_is_left_out_is_said(tmp_path, monkeypatch):
    def make():
        return [image_dataset(np.zeros((8, 8), np.uint16), 12, Header("x"))]

    drawn = [
        mr_samples.Phantom(system, f"phantom of {system}", "tumour", system, make) for system in ("spine-wff", "a")
    ]
    monkeypatch.setattr(mr_samples, "PHANTOMS", drawn)
    spine_nets.bundle(tmp_path / "models" / "spine")
    (tmp_path / "models" / "broken").mkdir()
    found, left_out = mr_samples.mr_samples(tmp_path / "samples", tmp_path / "absent", tmp_path / "models")
    assert [sample.name for sample in found] == ["phantom of spine-wff"]
    assert left_out[0].startswith("a: no bundle in")
    assert "broken" in left_out[1]


def test_the_real_limb_shown_is_none_that_the_model_was_trained_on():
    from types import SimpleNamespace

    from training.stacks.case import split

    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "sts-mr" / "nifti"
    if not folder.is_dir():
        pytest.skip("the real limbs are absent: looked for ../shared/data/sts-mr")
    names = [path.name.removesuffix("_t1.nii.gz") for path in folder.glob("*_t1.nii.gz")]
    assert mr_samples.REAL_LIMB in {
        case.name for case in split([SimpleNamespace(name=name, patient="") for name in names]).test
    }


SAMPLE = Sample("phantom knee", "benign", (Path("1.dcm"),), "1.2")
CHEST = Sample("phantom chest", "not a knee", (Path("2.dcm"),), "1.3")
DELIVERED = {"state": "delivered", "answer": "benign", "probability": 0.912, "seconds": 1.5, "model": "knee 1.0"}


def _returned(kind, path=Path("r.dcm")):
    classes = {"SEG": "1.2.840.10008.5.1.4.1.1.66.4", "SR": "1.2.840.10008.5.1.4.1.1.88.34"}
    return Returned(kind, classes.get(kind, "1.2.840.10008.5.1.4.1.1.7"), path)


def test_the_table_tells_answer_probability_time_and_what_came_back():
    rows = [
        Row(SAMPLE, DELIVERED, (_returned("SEG"), _returned("SEG"), _returned("SR"))),
        Row(CHEST, {"state": "not_applicable", "outcome": "NOT_APPLICABLE_BODYPART"}, ()),
    ]
    knee, chest = table(rows).splitlines()[2:]
    assert knee.split() == ["phantom", "knee", "benign", "benign", "0.91", "1.50", "knee", "1.0", "2", "SEG,", "SR"]
    assert "NOT_APPLICABLE_BODYPART" in chest
    assert chest.endswith("nothing")


def test_objects_are_counted_by_kind():
    assert objects([_returned("SR"), _returned("OT"), _returned("SEG")]) == "SC, SEG, SR"


def test_overlays_are_saved_as_pictures(tmp_path):
    ds = image_dataset(np.full((3000, 2000), 200, np.uint8), 8, Header("overlay"))
    capture = _returned("OT", save(ds, tmp_path / "sc.dcm"))
    saved = save_overlays([Row(SAMPLE, DELIVERED, (capture, _returned("SR")))], tmp_path / "overlays")
    assert [path.name for path in saved] == ["01-phantom-knee-1.png"]
    with Image.open(saved[0]) as picture:
        assert picture.size == (1200, 1800)


def test_the_real_radiographs_shown_are_none_that_the_model_was_trained_on():
    from training.split import split

    labels = Path(__file__).resolve().parents[3] / "shared" / "data" / "btxrd256" / "labels.csv"
    if not labels.is_file():
        pytest.skip("the real radiographs are absent: looked for ../shared/data/btxrd256")
    rows = list(csv.DictReader(labels.read_text(encoding="utf-8").splitlines()))
    unlike_each_other = np.random.default_rng(0).integers(0, 256, (len(rows), 32), dtype=np.uint8)
    divided = split([int(r["image_id"][3:]) for r in rows], [r["cls"] for r in rows], unlike_each_other)
    tested = {rows[i]["image_id"]: rows[i]["cls"] for i in divided.test}
    for answer, images in REAL:
        for image, _ in images:
            assert tested.get(image) == answer, image


def test_a_pacs_that_is_looked_into_with_ohif_gets_what_ohif_shows(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(RunningNode, "command", lambda _self, *words: told.append(words) or "")
    node = RunningNode(tmp_path, 11112)
    for archive in (OrthancArchive(tmp_path), SmallArchive(tmp_path)):
        node.add_peer(archive.ae_title, archive.port, archive.profile)
    assert [words[words.index("--profile") + 1] for words in told] == ["ohif", "default"]


def test_a_command_that_does_not_answer_in_time_is_told_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(running_node, "ANSWERS_WITHIN_S", 0.01)
    node = RunningNode(tmp_path, 11112)
    node.osteon = tmp_path / "osteon"
    node.osteon.write_text("#!/bin/sh\nexec sleep 5\n", encoding="ascii")
    node.osteon.chmod(0o755)
    with pytest.raises(DemonstrationFailed, match="osteon studies did not answer within 0 s"):
        node.studies()
