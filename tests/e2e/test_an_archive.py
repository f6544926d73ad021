"""What a real archive makes of results: Orthanc takes every kind, returns each bit for bit, finds it and serves it."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pydicom
import pytest

from node.dimse.client import associate
from node.dimse.negotiate import storage_contexts
from node.report.encode import EncodedObject
from node.report.profile import PROFILES
from tests.bench.loads import data_set_of
from tests.e2e.orthanc import Orthanc
from tests.node.report.made_cases import stock

STUDIES = ("cr", "mr", "enhanced-mr", "normal")


WITH_DICOMWEB = {
    "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
    "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    "OverwriteInstances": True,
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    server = Orthanc(tmp_path_factory.mktemp("archive"), ae_title="ARCHIVE", settings=WITH_DICOMWEB)
    yield server
    server.stop()


@pytest.fixture(scope="module", params=STUDIES)
def sent(request: pytest.FixtureRequest, archive: Orthanc) -> list[EncodedObject]:
    """Every kind of result of one study, accepted by the archive."""
    objects = list(stock(request.param).asking(profile=PROFILES["everything"]).made())
    assert objects
    wanted = [(each.sop_class_uid, each.transfer_syntax_uid) for each in objects]
    with associate(
        "127.0.0.1", archive.port, calling="OSTEON", called="ARCHIVE", contexts=storage_contexts(wanted)
    ) as association:
        for each in objects:
            status = association.store(each.sop_class_uid, each.sop_instance_uid, each.transfer_syntax_uid, each.data)
            assert status == 0, each.kind
    return objects


def study_of(objects: list[EncodedObject]) -> str:
    ds = pydicom.dcmread(BytesIO(objects[0].data), force=True, stop_before_pixels=True)
    return str(ds.StudyInstanceUID)


def values(found: dict[str, Any], tag: str) -> list[Any]:
    return list(found.get(tag, {}).get("Value", []))


def test_every_kind_comes_back_bit_for_bit(archive: Orthanc, sent: list[EncodedObject]) -> None:
    held = {one.sop_instance_uid: one.id for one in archive.instances(study_of(sent))}
    for each in sent:
        assert data_set_of(archive.file(held[each.sop_instance_uid])) == each.data, each.kind


def test_qido_finds_every_kind(archive: Orthanc, sent: list[EncodedObject]) -> None:
    found = archive.get(f"/dicom-web/studies/{study_of(sent)}/instances?limit=1000")
    classes = {values(one, "00080018")[0]: values(one, "00080016")[0] for one in found}
    for each in sent:
        assert classes[each.sop_instance_uid] == each.sop_class_uid


def test_qido_finds_the_report_by_its_modality(archive: Orthanc, sent: list[EncodedObject]) -> None:
    found = archive.get(f"/dicom-web/studies/{study_of(sent)}/series?Modality=SR")
    series = {each.series_instance_uid for each in sent if each.kind.value.endswith("sr")}
    assert series <= {values(one, "0020000E")[0] for one in found}


def test_wado_serves_every_kind_bit_for_bit(archive: Orthanc, sent: list[EncodedObject]) -> None:
    for each in sent:
        place = f"/dicom-web/studies/{study_of(sent)}/series/{each.series_instance_uid}/instances/"
        assert each.data in served(archive, place + each.sop_instance_uid)


def served(archive: Orthanc, path: str) -> list[bytes]:
    """The data sets of a WADO-RS answer: multipart/related parts of application/dicom."""
    body = archive.raw(path)
    start = body.index(b"--")
    boundary = body[start : body.index(b"\r\n", start)]
    parts = body.split(boundary)[1:-1]
    return [data_set_of(part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")) for part in parts]
