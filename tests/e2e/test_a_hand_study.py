"""A hand in two planes, sent by dcmtk's storescu, comes back to Orthanc as a segmentation of each series and one report
with the kind of tumour.

The patient is a phantom. The bundle is the one that ships, or a tiny made network that takes what is brightest for a
ganglion, on the same slices with such a block in them.
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
from tests.e2e.processes import PROJECT
from tests.models import hand_nets
from tests.node import hands
from training.hand.bundle import NEEDS
from training.phantoms import hand_dicom
from training.phantoms.dicom import save
from training.phantoms.hand import HandKind, Plane, hand_patient
from training.phantoms.spine_tissue import Weight

SHIPPED = PROJECT / "models" / "bundles" / "hand"
PROTOCOL = ((Weight.T1, Plane.CORONAL), (Weight.FS, Plane.AXIAL))
SEED = 90001


@dataclass(frozen=True)
class Sent:
    """What went to the node, what the node says of it, and what Orthanc then holds."""

    series: list[list[Dataset]]
    truth: list[np.ndarray]
    """By series, where the tumour is."""
    study: dict[str, Any]
    objects: dict[str, list[Path]]
    """Modality → files."""


def _drawn() -> tuple[list[list[Dataset]], list[np.ndarray]]:
    if not SHIPPED.is_dir():
        print("no hand bundle ships yet: a tiny made network answers")
        series = hands.study(*PROTOCOL)
        return series, [hands.block(slices) for slices in series]
    patient = hand_patient(SEED, kinds=(HandKind.GANGLION,), protocol=PROTOCOL)
    return hand_dicom.datasets(patient), [one.truth > 0 for one in patient.series]


@pytest.fixture(scope="module")
def sent(new_node: Callable[..., Node], new_orthanc: Callable[..., Orthanc], files: Path) -> Sent:
    shelf = files / "bundles"
    shelf.mkdir()
    if SHIPPED.is_dir():
        (shelf / "hand").symlink_to(SHIPPED, target_is_directory=True)
    else:
        hand_nets.bundle(shelf / "hand", hand_nets.with_needs(NEEDS))
    node = new_node({"work": {"models_folder": str(shelf)}, "settle": {"mr_quiet_s": 0.5}})
    pacs = new_orthanc("ARCHIVE")
    node.peer("scanner", "SCANNER", may_send=True)
    node.peer("archive", "ARCHIVE", pacs.port, results="all")
    node.start()
    series, truth = _drawn()
    paths = []
    for ds in (each for slices in series for each in slices):
        ds.PatientName = "CANARY^Hand"
        paths.append(save(ds, files / f"{len(paths):03d}.dcm"))
    told = dcmtk.storescu(node.port, paths, calling="SCANNER", to=node.ae_title)
    assert told.count("0x0000: Success") >= len(paths), told[-3000:]
    study = node.ended(str(series[0][0].StudyInstanceUID), 60)
    objects: dict[str, list[Path]] = {}
    for stored in pacs.instances(study["study_instance_uid"]):
        path = files / f"{stored.id}.dcm"
        path.write_bytes(pacs.file(stored.id))
        objects.setdefault(stored.modality, []).append(path)
    return Sent(series, truth, study, objects)


def test_both_series_are_used_and_the_tumour_is_outlined_on_the_grid_of_each(sent: Sent) -> None:
    assert (sent.study["state"], sent.study["outcome"]) == ("delivered", "OK_FINDINGS"), sent.study
    images = sum(map(len, sent.series))
    assert f"with {images} of {images} images" in sent.study["explanation"][0]
    if SHIPPED.is_dir() and "SEG" not in sent.objects:
        pytest.skip("the model that ships outlined nothing in this phantom, so there is no outline to compare")
    found = {_source_of(path): path for path in sent.objects["SEG"]}
    assert found.keys() <= {slices[0].SeriesInstanceUID for slices in sent.series}
    dice = [
        _dice(found[slices[0].SeriesInstanceUID], slices, truth)
        for slices, truth in zip(sent.series, sent.truth, strict=True)
        if slices[0].SeriesInstanceUID in found
    ]
    print(f"Dice by series: {[round(each, 2) for each in dice]}")
    assert max(dice) > (0.4 if SHIPPED.is_dir() else 0.9), "not even one series shows the tumour where it is"


def test_the_report_says_which_kind_it_resembles_and_that_nothing_else_was_there(sent: Sent) -> None:
    (path,) = sent.objects["SR"]
    text = dcmtk.report_text(path)
    assert "Imaging Measurement Report" in text
    if not SHIPPED.is_dir():  # one that was trained may find no kind sure enough to be named
        assert "Kind of tumour that it resembles" in text
        assert "Probability of a ganglion, of five kinds" in text
    assert "answers without" in text
    assert "phantom" in text.lower() or "simulated" in text.lower()


@pytest.mark.checklist(1, 2)
def test_validators_accept_what_orthanc_holds(sent: Sent) -> None:
    for path in (path for paths in sent.objects.values() for path in paths):
        assert not dcmtk.iod_faults(path), path


def _source_of(path: Path) -> str:
    (series,) = pydicom.dcmread(path, stop_before_pixels=True).ReferencedSeriesSequence
    return str(series.SeriesInstanceUID)


def _dice(path: Path, slices: list[Dataset], truth: np.ndarray) -> float:
    mask = highdicom.seg.segread(path).get_pixels_by_source_instance(
        [ds.SOPInstanceUID for ds in slices],
        combine_segments=True,
        skip_overlap_checks=True,
        assert_missing_frames_are_empty=True,
    )
    return 2.0 * float(((mask > 0) & truth).sum()) / float((mask > 0).sum() + truth.sum())
