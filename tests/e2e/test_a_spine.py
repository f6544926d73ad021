"""A spine of four sequences, each on its own grid, sent by dcmtk's storescu comes back to Orthanc as boxes in a report,
a presentation state and pictures, with what every sequence and the patient's age said.

The patients are phantoms. The bundle is the one that ships, or tiny made networks where none ships.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.e2e import dcmtk
from tests.e2e.node_process import Node
from tests.e2e.orthanc import Orthanc
from tests.e2e.processes import PROJECT
from tests.models import spine_nets
from training.phantoms.dicom import save
from training.phantoms.spine import Kind, spine_patient
from training.phantoms.spine_dicom import datasets
from training.phantoms.spine_tissue import Weight

SHIPPED = PROJECT / "models" / "bundles" / "spine"
SEQUENCES = (Weight.T1, Weight.T2, Weight.STIR, Weight.T1C)


@dataclass(frozen=True)
class Answered:
    """One study that was sent, what the node said of it, and what Orthanc holds of it."""

    study: dict[str, Any]
    objects: dict[str, list[Path]]
    """Modality → files."""
    slices: int


@pytest.fixture(scope="module")
def answered(
    new_node: Callable[..., Node], new_orthanc: Callable[..., Orthanc], files: Path
) -> Callable[[str], Answered]:
    shelf = files / "bundles"
    shelf.mkdir()
    if SHIPPED.is_dir():
        (shelf / "spine").symlink_to(SHIPPED, target_is_directory=True)
    else:
        print("no spine bundle ships yet: tiny made networks answer")
        spine_nets.bundle(shelf / "spine")
    node = new_node({"work": {"models_folder": str(shelf)}, "settle": {"mr_quiet_s": 0.5}})
    pacs = new_orthanc("ARCHIVE")
    node.peer("scanner", "SCANNER", may_send=True)
    node.peer("archive", "ARCHIVE", pacs.port, results="all")
    node.start()
    sent = {name: _sent(node, files / name, seed, weights) for name, (seed, weights) in STUDIES.items()}

    @cache
    def get(name: str) -> Answered:
        uid, slices = sent[name]
        study = node.ended(uid, 60)
        objects: dict[str, list[Path]] = {}
        for stored in pacs.instances(uid):
            path = files / f"{stored.id}.dcm"
            path.write_bytes(pacs.file(stored.id))
            objects.setdefault(stored.modality, []).append(path)
        print(f"{name}: {study['answer']} {study['probability']} in {study['seconds']} s, {sorted(objects)}")
        return Answered(study, objects, slices)

    return get


STUDIES = {"four sequences": (33, SEQUENCES), "one sequence": (7, (Weight.T2,))}
"""By name: the seed of the patient, and the sequences that came."""


def _sent(node: Node, folder: Path, seed: int, weights: tuple[Weight, ...]) -> tuple[str, int]:
    """Send one patient by storescu; the study's UID and how many slices it has."""
    made = datasets(spine_patient(seed, kind=Kind.MALIGNANT, weights=weights))
    paths = []
    for number, slices in enumerate(made, start=1):
        for place, ds in enumerate(slices, start=1):
            ds.PatientName = "CANARY^Spine"
            paths.append(save(ds, folder / f"{number}-{place:03d}.dcm"))
    told = dcmtk.storescu(node.port, paths, calling="SCANNER", to=node.ae_title)
    assert told.count("0x0000: Success") >= len(paths), told[-3000:]
    return str(made[0][0].StudyInstanceUID), len(paths)


def test_every_sequence_is_used_and_those_that_did_not_come_are_named(answered: Callable[[str], Answered]) -> None:
    whole, part = answered("four sequences"), answered("one sequence")
    for one in (whole, part):
        assert one.study["state"] == "delivered", one.study
        assert one.study["outcome"] in ("OK_FINDINGS", "OK_NORMAL")
        assert f"with {one.slices} of {one.slices} images" in one.study["explanation"][0]
    used = [line for line in whole.study["explanation"] if "→ spine" in line]
    assert len(used) == len(SEQUENCES)
    assert not any("answers without" in line for line in whole.study["explanation"])
    assert sum("answers without" in line for line in part.study["explanation"]) == 3


def test_boxes_come_back_as_report_graphics_and_pictures(answered: Callable[[str], Answered]) -> None:
    one = answered("four sequences")
    assert "SEG" not in one.objects, "a box is no mask"
    assert len(one.objects["SR"]) == 1
    text = dcmtk.report_text(one.objects["SR"][0])
    assert "Imaging Measurement Report" in text
    for number in range(1, len(SEQUENCES) + 1):
        assert f"AI answer for series {number}" in text
    if one.study["answer"] == "normal":
        pytest.skip("the model that ships found no box in this phantom, so there is nothing to draw")
    assert "Malignant by the detector of boxes" in text
    assert "Malignant by the classifier of images" in text
    assert "Malignant by the age of the patient" in text
    assert one.objects["PR"]
    assert one.objects["OT"]


@pytest.mark.checklist(1, 2)
def test_validators_accept_what_orthanc_holds(answered: Callable[[str], Answered]) -> None:
    for name in STUDIES:
        one = answered(name)
        for path in (path for paths in one.objects.values() for path in paths):
            assert not dcmtk.iod_faults(path), path
            ds = pydicom.dcmread(path, stop_before_pixels=True)
            assert ds.StudyInstanceUID == one.study["study_instance_uid"]
        for path in one.objects.get("PR", ()):
            assert not dcmtk.presentation_state_faults(path)
