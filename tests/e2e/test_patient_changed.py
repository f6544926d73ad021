"""A patient is corrected in the PACS after the images have left: results under the old one stay here until it is clear
who is right. The PACS is Debian's Orthanc, whose REST interface changes the patient."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.e2e import dcmtk, radiographs
from tests.e2e.node_process import Node
from tests.e2e.orthanc import DICOMWEB, Orthanc
from tests.e2e.processes import HOST

OTHER = "CANARY-OTHER"


def _correct(pacs: Orthanc, patient_id: str) -> None:
    """Give the one patient in the PACS another Patient ID, all UIDs kept."""
    (patient,) = pacs.get("/patients")
    keep = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    change = {"Replace": {"PatientID": patient_id}, "Keep": keep, "Force": True, "KeepSource": False}
    job: dict[str, Any] = json.loads(pacs.asked(f"/patients/{patient}/modify", change))
    assert job["FailedInstancesCount"] == 0, job
    (patient,) = pacs.get("/patients")
    assert pacs.get(f"/patients/{patient}")["MainDicomTags"]["PatientID"] == patient_id


@pytest.mark.checklist(64)
@pytest.mark.parametrize("transport", ["dimse", "stow"])
def test_results_of_a_patient_who_was_changed_in_the_pacs_wait_for_a_person(
    new_node: Callable[..., Node], tmp_path: Path, transport: str
) -> None:
    pacs = Orthanc(tmp_path / "pacs", ae_title="ARCHIVE", settings={"DicomAlwaysAllowFind": True, **DICOMWEB})
    try:
        node = new_node()
        node.run("peers", "add", "camera", "--ae", "CAMERA", "--host", HOST, "--port", 104, "--may-send")
        web = ["--transport", "stow", "--url", f"http://{HOST}:{pacs.http}/dicom-web"] if transport == "stow" else []
        adding = ["peers", "add", "archive", "--ae", "ARCHIVE", "--host", HOST, "--port", pacs.port, *web]
        node.run(*adding, "--results", "all", "--may-find", "--confirm", "none")
        node.start()
        path = radiographs.saved(radiographs.radiograph(radiographs.phantom_pixels()), tmp_path / "phantom.dcm")
        image = pydicom.dcmread(path, stop_before_pixels=True)
        uid = str(image.StudyInstanceUID)
        dcmtk.dcmsend_files(pacs.port, [path], calling="CAMERA", to="ARCHIVE")
        _correct(pacs, OTHER)
        dcmtk.dcmsend_files(node.port, [path], calling="CAMERA", to=node.ae_title)

        held = node.ended(uid, 90)
        assert (held["state"], held["outcome"]) == ("failed", "INPUT_PATIENT_MISMATCH")
        assert {result["state"] for result in held["results"]} == {"parked"}
        assert any("under another patient than the images name" in event["text"] for event in held["timeline"])
        assert "CANARY" not in json.dumps(held).upper()
        assert len(pacs.instances(uid)) == 1

        _correct(pacs, str(image.PatientID))
        node.run("retry", node.number_of(uid))
        done = node.ended(uid, 60)
        assert done["state"] == "delivered", done
        assert len(pacs.instances(uid)) == 1 + len(done["results"])
        assert len(pacs.get("/patients")) == 1
    finally:
        pacs.stop()
