"""Bytes on the wire: what we encode is what pydicom reads, and what a file must hold is in it."""

from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.report.encode import EncodedObject, ascii_text, encoded, part10
from node.report.kind import Kind
from tests.node.report import made_cases


def _every_kind_of_value() -> Dataset:
    ds, item, inner = Dataset(), Dataset(), Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.3", "1.2.3.4"
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.SliceThickness, ds.SeriesNumber, ds.PatientComments = "1.50", 9001, "odd"
    ds.Rows, ds.FloatingPointValue = 3, 0.1
    ds.GraphicData = [0.5, 1.5, 2.5]
    ds.SelectorAttribute = Tag("PatientID")
    ds.RecommendedDisplayCIELabValue = [65535, 0, 32896]
    ds.PerformedProcedureCodeSequence = []
    ds.TextValue = "a" * 70_001
    inner.CodeValue = "x"
    item.ConceptCodeSequence = [inner]
    ds.ContentSequence = [item, item]
    ds.PixelData = b"\1\2\3"
    ds["PixelData"].VR = "OB"
    return ds


def test_what_is_encoded_is_what_pydicom_reads() -> None:
    ds = _every_kind_of_value()
    read_back = pydicom.dcmread(BytesIO(encoded(ds, {})), force=True)
    assert read_back.PixelData == b"\1\2\3\0"
    del ds.PixelData, read_back.PixelData
    assert read_back == ds


def test_pydicom_would_write_the_same_bytes() -> None:
    for result in made_cases.radiograph().made():
        ds = pydicom.dcmread(BytesIO(part10(result)))
        buffer = BytesIO()
        pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
        assert buffer.getvalue() == part10(result)


def test_a_string_of_ours_that_is_not_ascii_is_refused_and_not_mangled() -> None:
    ds = Dataset()
    ds.SeriesDescription = "Knie größer"
    with pytest.raises(UnicodeEncodeError):
        encoded(ds, {})


def test_carried_elements_replace_and_join_in_the_order_of_tags() -> None:
    ds = Dataset()
    ds.PatientName, ds.Modality = "ours", "SR"
    name = b"\x10\0\x10\0PN\x04\0Doe "
    identifier = b"\x10\0\x20\0LO\x02\x0012"
    data = encoded(ds, {Tag(0x00100020): identifier, Tag(0x00100010): name})
    assert data.endswith(name + identifier)
    assert data.startswith(b"\x08\0\x60\0CS\x02\0SR")


@pytest.mark.checklist(10)
def test_a_file_names_our_implementation_and_not_the_library() -> None:
    result = EncodedObject(Kind.SR, 0, "1.2.3", "2.25.1", "2.25.2", "1.2.840.10008.1.2.1", b"")
    meta = pydicom.dcmread(BytesIO(part10(result))).file_meta
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert meta.MediaStorageSOPClassUID == "1.2.3"
    assert meta.MediaStorageSOPInstanceUID == "2.25.1"
    assert meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


@pytest.mark.parametrize(
    ("text", "plain"),
    [("Größe", "Groe"), ("é", "e"), ("a\nb", "a b"), ("a\\b", "a/b"), ("膝", ""), ("≤ 3 mm", " 3 mm")],
    ids=["umlaut", "accent", "line break", "backslash", "kanji", "sign"],
)
def test_words_become_ascii(text: str, plain: str) -> None:
    assert ascii_text(text).replace("o", "").replace("u", "") == plain.replace("o", "").replace("u", "")
    assert ascii_text(text).isascii()
