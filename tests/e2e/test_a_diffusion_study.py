"""A diffusion-weighted study of a phantom, sent by dcmtk to a running node, comes back to Orthanc as SEG and SR.

The bundle is the one that ships where there is one, else a made network that takes what is bright for tumour.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest

from models.diffusion import two_point
from models.volume import volume
from tests.e2e import dcmtk
from tests.e2e.node_process import Node
from tests.e2e.orthanc import Orthanc
from tests.e2e.processes import PROJECT, until
from tests.models import stack_nets
from training.phantoms.diffusion import DiffusionPatient, diffusion_patient
from training.phantoms.diffusion_dicom import Dialect, datasets, write

SHIPPED = PROJECT / "models" / "bundles" / "diffusion"
LEAST_DICE = 0.6


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    if SHIPPED.is_dir():
        shutil.copytree(SHIPPED, folder / "diffusion")
    else:
        stack_nets.bundle(folder / "diffusion", stack_nets.DIFFUSION)
    return folder


@pytest.fixture(scope="module")
def patient() -> DiffusionPatient:
    return diffusion_patient(3, tumours=1, region="thigh", b_values=(0.0, 800.0))


@pytest.fixture(scope="module")
def hospital(models: Path, new_node: Callable[..., Node], new_orthanc: Callable[..., Orthanc]) -> tuple[Node, Orthanc]:
    node = new_node({"work": {"provider": "cpu", "models_folder": str(models)}})
    pacs = new_orthanc("ARCHIVE")
    node.peer("archive", "ARCHIVE", pacs.port, results="all")
    node.peer("scanner", "SCANNER", may_send=True)
    node.start()
    return node, pacs


@pytest.mark.parametrize("dialect", [Dialect.SIEMENS, Dialect.ENHANCED], ids=["siemens-classic", "enhanced"])
def test_a_study_comes_back_as_segmentation_and_report(
    dialect: Dialect, hospital: tuple[Node, Orthanc], patient: DiffusionPatient, tmp_path: Path
) -> None:
    node, pacs = hospital
    sent = sorted(write(patient, tmp_path, dialect).glob("*.dcm"))
    uid = pydicom.dcmread(sent[0], stop_before_pixels=True).StudyInstanceUID
    assert not dcmtk.iod_faults(sent[0]), "what is sent is valid itself"
    dcmtk.storescu(node.port, sent, calling="SCANNER", to=node.ae_title)
    study = node.ended(uid, 60)
    assert (study["state"], study["outcome"]) == ("delivered", "OK_FINDINGS"), study
    came = {stored.modality: stored for stored in pacs.instances(uid)}
    assert {"SEG", "SR"} <= set(came)
    files = {name: tmp_path / f"{name}.dcm" for name in ("SEG", "SR")}
    for name, path in files.items():
        path.write_bytes(pacs.file(came[name].id))
        assert not dcmtk.iod_faults(path), name
    text = dcmtk.report_text(files["SR"])
    assert "Apparent Diffusion Coefficient" in text
    assert "phantom" in text.lower()
    assert _dice(files["SEG"], patient) > LEAST_DICE


@pytest.mark.checklist(51)
def test_the_map_comes_back_as_a_series_and_sent_to_the_node_again_starts_nothing(
    hospital: tuple[Node, Orthanc], patient: DiffusionPatient, tmp_path: Path
) -> None:
    node, pacs = hospital
    uid = str(datasets(patient, Dialect.SIEMENS)[0].StudyInstanceUID)
    study = node.ended(uid, 60)
    series = [stored for stored in pacs.instances(uid) if stored.modality == "MR"]
    assert len(series) == len(patient.lesions)
    paths = []
    for stored in series:
        paths.append(tmp_path / f"{stored.id}.dcm")
        paths[-1].write_bytes(pacs.file(stored.id))
    assert not dcmtk.iod_faults(paths[0])
    made = volume([pydicom.dcmread(path) for path in paths], is_adc=True)
    low, high = (image.astype(np.float32) for image in patient.images)
    known = two_point(low, high, *patient.told.b_values).values * 1000
    assert np.allclose(made.voxels, known, atol=0.51), "in 10-6 mm2/s, slice by slice"
    told = dcmtk.storescu(node.port, paths, calling="SCANNER", to=node.ae_title)
    assert told.count("0x0000: Success") >= len(paths), told[-3000:]
    until(
        lambda: "own results" in str(node.json("studies", study["id"])["timeline"]), 20, "what came back is not listed"
    )
    again = node.json("studies", study["id"])
    assert again["state"] == study["state"]
    assert [event["kind"] for event in again["timeline"]].count("claimed") == 1


def _dice(path: Path, patient: DiffusionPatient) -> float:
    """Of the segmentation and the truth, on the grid of the source."""
    seg = highdicom.seg.segread(path)
    found = seg.get_volume(combine_segments=True, skip_overlap_checks=True, allow_missing_positions=True)
    mask = np.zeros(patient.lesions.shape, dtype=bool)
    heights = (np.arange(len(mask)) - (len(mask) - 1) / 2) * patient.spacing[0]
    for index, plane in enumerate(found.array):
        height = found.map_indices_to_reference(np.array([[index, 0, 0]]))[0, 2]
        mask[int(np.abs(heights - height).argmin())] |= plane > 0
    truth = patient.lesions > 0
    return 2.0 * float((mask & truth).sum()) / float(mask.sum() + truth.sum())
