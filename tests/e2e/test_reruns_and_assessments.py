"""A series that comes late is answered once more, under the old names of the lesions, and the old answer is withdrawn;
a segmentation that a person corrects comes back, is linked to ours, and is a label to train on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.e2e import dcmtk
from tests.e2e.node_process import Node
from tests.e2e.orthanc import Orthanc
from tests.e2e.processes import HOST, until
from tests.models import stack_nets
from tests.models.stacks import body, single_frames
from tests.node.report.sr_reading import groups, texts, tracking_uids
from tests.node.test_analyse import diffusion_series
from training.archive.cases import cases, one_series

STORED, BALL = body()
PATIENT = {"PatientName": "Canary^Jane", "PatientID": "CANARY4711"}
STUDY = "1.2.826.0.1.3680043.8.498.7.0"
NOTE = "1.2.840.10008.5.1.4.1.1.88.59"


@dataclass(frozen=True)
class Story:
    """What the PACS held after the first answer and after the second."""

    node: Node
    pacs: Orthanc
    first: dict[str, Dataset]
    """By SOP Instance UID."""
    second: dict[str, Dataset]
    """What came on top of it."""

    def of(self, objects: dict[str, Dataset], modality: str, model: str) -> Dataset:
        """The object of a modality that a model made."""
        return next(ds for ds in objects.values() if ds.Modality == modality and f"({model} " in ds.SeriesDescription)


@pytest.fixture(scope="module")
def story(
    tmp_path_factory: pytest.TempPathFactory, files: Path, new_node: Callable[..., Node],
    new_orthanc: Callable[..., Orthanc],
) -> Story:  # fmt: skip
    models = tmp_path_factory.mktemp("models")
    stack_nets.bundle(models / "limb")
    stack_nets.bundle(models / "diffusion", stack_nets.DIFFUSION, channel=1)
    node = new_node(
        {
            "work": {"provider": "cpu", "models_folder": str(models)},
            "settle": {"mr_quiet_s": 0.5},
            "results": {"rejection_note": "quality"},
        }
    )
    pacs = new_orthanc("ARCHIVE")
    node.run("peers", "add", "archive", "--ae", "ARCHIVE", "--host", HOST, "--port", pacs.port, "--results", "all",
             "--confirm", "none")  # fmt: skip
    node.peer("scanner", "SCANNER", may_send=True)
    node.start()
    send(node, files, single_frames(STORED, **PATIENT))
    node.ended(STUDY, 90)
    first = held(pacs, {})
    low, high = diffusion_series()
    send(node, files, [*low, *high])
    until(lambda: len(runs(node)) == 2, 90, lambda: f"no second run:\n{node.log()[-6000:]}")
    until(
        lambda: any(ds.SOPClassUID == NOTE for ds in held(pacs, first).values()), 60,
        lambda: f"no rejection note:\n{node.log()[-6000:]}",
    )  # fmt: skip
    return Story(node, pacs, first, held(pacs, first))


def send(node: Node, folder: Path, datasets: list[Dataset]) -> None:
    paths = []
    for ds in datasets:
        ds.PatientName, ds.PatientID = PATIENT["PatientName"], PATIENT["PatientID"]
        paths.append(folder / f"{ds.SOPInstanceUID}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    dcmtk.storescu(node.port, paths, calling="SCANNER", to=node.ae_title)


def held(pacs: Orthanc, known: dict[str, Dataset]) -> dict[str, Dataset]:
    """What the PACS holds and is not known yet."""
    found = {}
    for stored in pacs.instances(STUDY):
        if stored.sop_instance_uid not in known:
            found[stored.sop_instance_uid] = pydicom.dcmread(pydicom.filebase.DicomBytesIO(pacs.file(stored.id)))
    return found


def shown(node: Node) -> dict[str, Any]:
    study: dict[str, Any] = node.json("studies", node.number_of(STUDY))
    return study


def runs(node: Node) -> list[dict[str, Any]]:
    return list(shown(node)["runs"])


def lesions(report: Dataset) -> list[str]:
    return [tracking_uids(group)[0] for group in groups(report) if "AI lesion" in texts(group, "tracking")[0]]


@pytest.mark.checklist(53)
def test_a_late_series_is_one_more_run_whose_report_names_the_old_one_and_keeps_its_lesions(story: Story) -> None:
    assert [(run["run"], run["supersedes"], run["superseded_by"]) for run in runs(story.node)] == [
        (1, None, 2), (2, 1, None)
    ]  # fmt: skip
    old, new = story.of(story.first, "SR", "limb"), story.of(story.second, "SR", "limb")
    named = new.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPInstanceUID == old.SOPInstanceUID
    assert lesions(new) == lesions(old) != []
    assert not {str(ds.SeriesInstanceUID) for ds in story.first.values()} & {
        str(ds.SeriesInstanceUID) for ds in story.second.values()
    }
    assert "run 2" in new.SeriesDescription
    kinds = [event["kind"] for event in shown(story.node)["timeline"]]
    assert (kinds.count("claimed"), kinds.count("reopened")) == (2, 1)


@pytest.mark.checklist(63)
def test_the_rejection_note_names_exactly_the_objects_of_the_first_run(story: Story, tmp_path: Path) -> None:
    [note] = [ds for ds in story.second.values() if ds.SOPClassUID == NOTE]
    listed = {
        str(item.ReferencedSOPInstanceUID)
        for study in note.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert listed == set(story.first)
    assert note.ConceptNameCodeSequence[0].CodeValue == "113001"
    assert (note.PatientID, note.StudyInstanceUID) == (PATIENT["PatientID"], STUDY)
    path = tmp_path / "note.dcm"
    note.save_as(path, enforce_file_format=True)
    assert not dcmtk.iod_faults(path)
    sent = shown(story.node)["results"]
    assert [(each["kind"], each["run"]) for each in sent][-1] == ("rejection", 2)
    assert shown(story.node)["state"] == "delivered"


@pytest.mark.checklist(54)
def test_a_late_series_that_no_model_uses_starts_no_run(story: Story, files: Path) -> None:
    send(story.node, files, single_frames(STORED[:3], series=6, SeriesDescription="localizer"))
    until(lambda: "unchanged" in [event["kind"] for event in shown(story.node)["timeline"]], 60,
          lambda: story.node.log()[-4000:])  # fmt: skip
    assert len(runs(story.node)) == 2
    story.node.wait(STUDY, 60)
    assert held(story.pacs, story.first | story.second) == {}


@pytest.mark.checklist(51)
def test_a_corrected_segmentation_comes_back_is_linked_and_can_be_trained_on(
    story: Story, files: Path, tmp_path: Path
) -> None:
    node = story.node
    corrected = story.of(story.second, "SEG", "limb")
    tracking = str(corrected.SegmentSequence[0].TrackingUID)
    corrected.SOPInstanceUID, corrected.SeriesInstanceUID = "1.2.99.1", "1.2.99.2"
    corrected.file_meta.MediaStorageSOPInstanceUID = "1.2.99.1"
    corrected.Manufacturer, corrected.ManufacturerModelName = "Somebody", "Workstation"
    frames = corrected.pixel_array.copy()
    frames[:, 25:, :] = 0
    corrected.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes()
    runs_before = len(runs(node))
    send(node, files, [corrected])
    until(lambda: node.json("assessments"), 60, lambda: f"no assessment:\n{node.log()[-6000:]}")
    [line] = node.json("assessments", node.number_of(STUDY))
    assert (line["says"], line["tracking_uid"], line["run"]) == ("modified", tracking, 2)
    assert shown(node)["assessments"] == [line]
    assert len(runs(node)) == runs_before
    assert shown(node)["state"] == "delivered"
    node.run("assessments", "export", tmp_path / "labels")
    [case] = cases(tmp_path / "labels", lambda study: one_series(study, "t1"))
    seg = highdicom.seg.segread(next((tmp_path / "labels").glob("study-*/label-*.dcm")))
    t1 = single_frames(STORED)
    wanted = seg.get_pixels_by_source_instance(
        [ds.SOPInstanceUID for ds in t1], combine_segments=True, assert_missing_frames_are_empty=True
    )
    assert np.array_equal(case.lesions, wanted)
    assert 0 < np.count_nonzero(case.lesions) < np.count_nonzero(BALL)
    assert node.run("assessments", "export", tmp_path / "labels", code=1).stderr.count("not empty") == 1


def test_a_hostile_report_costs_nothing_but_its_reading(story: Story, files: Path) -> None:
    report = story.of(story.second, "SR", "limb")
    report.SOPInstanceUID, report.Manufacturer = "1.2.99.3", "Somebody"
    report.file_meta.MediaStorageSOPInstanceUID = "1.2.99.3"
    nested = Dataset()
    nested.ValueType = "CONTAINER"
    for _ in range(80):
        outer = Dataset()
        outer.ValueType, outer.ContentSequence = "CONTAINER", [nested]
        nested = outer
    report.ContentSequence.append(nested)
    send(story.node, files, [report])
    until(lambda: "nested more than" in story.node.log(), 60, lambda: story.node.log()[-4000:])
    assert len(story.node.json("assessments")) == 1
    assert shown(story.node)["state"] == "delivered"
