"""The Lua scripts of deploy/orthanc in Debian's Orthanc, with a small PACS standing where the node would be."""

import shutil
import time

import numpy as np
import pytest

from deploy.demonstration import sending
from deploy.demonstration.archives import ORTHANC_FILES, OrthancArchive
from deploy.demonstration.running_node import HOST, free_port
from deploy.demonstration.small_pacs import Destination, SmallPacs, send
from training.phantoms.dicom import Header, image_dataset, save

pytestmark = pytest.mark.skipif(
    not shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/sbin"), reason="Orthanc is not installed"
)


class Listener(SmallPacs):
    """Takes what Orthanc routes, and counts every object offered, also when it came before."""

    def __init__(self, folder):
        super().__init__(folder, free_port(0), ae_title="OSTEON")
        self.offered = 0

    def _store(self, event):
        self.offered += 1
        return super()._store(event)


def _image(folder, number, **extra):
    pixels = np.full((16, 16), number, np.uint16)
    header = Header(f"image {number}", study_key="study", instance_number=number, extra=extra)
    return save(image_dataset(pixels, 12, header), folder / f"{number}.dcm")


@pytest.fixture
def node(tmp_path):
    listener = Listener(tmp_path / "node")
    listener.start()
    yield listener
    listener.stop()


def _orthanc(tmp_path, node):
    archive = OrthancArchive(tmp_path / "orthanc")
    archive.start(node.port, node.ae_title)
    return archive


def _settled(node, expected, within_s=25):
    """Wait for `expected` objects, and then long enough for the script to have sent more if it wanted to."""
    end = time.monotonic() + within_s
    while node.offered < expected:
        assert time.monotonic() < end, f"{node.offered} of {expected} objects were routed"
        time.sleep(0.1)
    quiet_until = time.monotonic() + 2.5  # StableAge 1, and Orthanc looks once a second
    while time.monotonic() < quiet_until:
        time.sleep(0.1)
        assert node.offered <= expected, "the study was routed once more"


def test_a_study_is_routed_once_and_again_only_for_a_late_image(tmp_path, node):
    archive = _orthanc(tmp_path, node)
    try:
        sending.send_files([_image(tmp_path, 1), _image(tmp_path, 2)], archive.ae_title, archive.port)
        _settled(node, 2)
        result = sending._as_kept(_image(tmp_path, 3, Modality="SEG"))
        send(Destination(archive.ae_title, HOST, archive.port), [result], calling=node.ae_title)
        _settled(node, 2)
        sending.send_files([_image(tmp_path, 4)], archive.ae_title, archive.port)
        _settled(node, 6)  # Orthanc sends the whole study: three images and the result
    finally:
        archive.stop()


def test_the_script_that_always_routes_sends_a_study_back_when_results_came(tmp_path, node, monkeypatch):
    scripts = tmp_path / "scripts"
    shutil.copytree(ORTHANC_FILES, scripts)
    shutil.copy(scripts / "route-always.lua", scripts / "route.lua")
    monkeypatch.setattr("deploy.demonstration.archives.ORTHANC_FILES", scripts)
    archive = _orthanc(tmp_path, node)
    try:
        sending.send_files([_image(tmp_path, 1)], archive.ae_title, archive.port)
        _settled(node, 1)
        result = sending._as_kept(_image(tmp_path, 2, Modality="SEG"))
        send(Destination(archive.ae_title, HOST, archive.port), [result], calling=node.ae_title)
        _settled(node, 3)
    finally:
        archive.stop()
