"""Patient and study in a result: the bytes of the source, repaired only where they are no identity."""

from dataclasses import replace

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from models import spacing
from node.headers import facts_of, read_header
from node.report.kind import Kind
from node.report.patient import REQUIRED, carried
from tests.node.report.made_cases import CR, DX, Case, as_received, mr_series, normal, radiograph, read
from tests.node.report.raw_bytes import raw, spelled

KANJI = b"\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
CHARACTER_SETS: dict[str, tuple[bytes, bytes]] = {  # PS3.5 H.3, I.2, J.1, J.3, K.2
    "ascii": (b"", b"Doe^John"),
    "latin 1": (b"ISO_IR 100", "Müller^Jörg".encode("latin-1")),
    "kanji": (b"\\ISO 2022 IR 87", b"Yamada^Tarou=" + KANJI + b"=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"),
    "katakana and kanji": (
        b"ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
    ),
    "hangul": (b"\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"),
    "hanzi": (b"\\ISO 2022 IR 58", b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="),
    "GB18030": (b"GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab="),
    "UTF-8": (b"ISO_IR 192", "Wang^XiaoDong=王^小东=".encode()),
    "undeclared Shift-JIS": (b"", "山田^太郎".encode("shift-jis")),
    "undeclared EUC-KR": (b"", "홍^길동".encode("euc-kr")),
    "undeclared GB18030": (b"", "王^小东".encode("gb18030")),
    "undeclared UTF-8": (b"", "山田^太郎".encode()),
    "a set nobody knows": (b"ISO_IR 999", "Müller^Jörg".encode("latin-1")),
    "declared in vain": (b"ISO_IR 192", "Müller^Jörg".encode("latin-1")),
}


def named(character_set: bytes, name: bytes) -> dict[str, bytes | None]:
    """This character set, and this name in every element that holds words."""
    return {
        "SpecificCharacterSet": character_set or None,
        "PatientName": name,
        "ReferringPhysicianName": name,
        "PatientID": name,
        "StudyDescription": name,
        "IssuerOfPatientID": name,
    }


def on_the_wire(ds: Dataset) -> bytes:
    """The data set as it came over the wire."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, ds)
    return bytes(buffer.getvalue())


def made_of(case: Case) -> list[Dataset]:
    """All results of a case, read back raw."""
    return [read(each) for each in case.made()]


@pytest.mark.checklist(5)
@pytest.mark.filterwarnings("ignore:Unknown encoding 'ISO_IR 999'")
@pytest.mark.parametrize(("character_set", "name"), CHARACTER_SETS.values(), ids=CHARACTER_SETS)
def test_names_and_numbers_are_the_bytes_of_the_source_under_its_character_set(
    character_set: bytes, name: bytes
) -> None:
    case = spelled(radiograph(DX), named(character_set, name))
    assert raw(case.sources[0].datasets[0], "PatientName") == name
    for ds in made_of(case):
        assert raw(ds, "SpecificCharacterSet") == (character_set or None)
        assert raw(ds, "PatientName") == raw(ds, "ReferringPhysicianName") == name
        for keyword in ("PatientID", "IssuerOfPatientID", "StudyDescription"):
            assert raw(ds, keyword) == name


@pytest.mark.checklist(5)
@pytest.mark.parametrize("name", ["kanji", "katakana and kanji", "hangul", "UTF-8", "declared in vain"])
def test_routing_decodes_nothing_that_is_carried(name: str) -> None:
    """Once pydicom has decoded a text, its bytes are gone; the node reads headers without touching them."""
    case = spelled(radiograph(CR), named(*CHARACTER_SETS[name]))
    ds = case.sources[0].datasets[0]
    header = read_header(on_the_wire(ds), ExplicitVRLittleEndian)
    before = carried(header.dataset)
    facts_of(header)
    spacing.ruler(header.dataset)
    assert carried(header.dataset) == before == carried(ds)


@pytest.mark.checklist(6)
@pytest.mark.parametrize("kind", ["radiograph", "series"])
def test_patient_and_study_are_those_of_the_source(kind: str) -> None:
    case = radiograph(DX) if kind == "radiograph" else mr_series()
    source = case.sources[0].datasets[0]
    for ds in made_of(case):
        for keyword in (*REQUIRED, "IssuerOfPatientID", "PatientAge", "PatientWeight", "StudyDescription"):
            assert raw(ds, keyword) == raw(source, keyword)


def test_the_source_is_left_as_it_was() -> None:
    case = mr_series()
    before = [ds.to_json() for ds in mr_series().sources[0].datasets]
    case.made()
    assert [ds.to_json() for ds in case.sources[0].datasets] == before


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian], ids=["implicit", "big endian"])
def test_the_syntax_of_the_source_changes_nothing(syntax: str) -> None:
    def change(ds: Dataset) -> None:
        ds.PregnancyStatus = 4
        ds.OtherPatientIDsSequence = [Dataset()]
        ds.OtherPatientIDsSequence[0].PatientID = "Mü-1"
        ds.OtherPatientIDsSequence[0].TypeOfPatientID = "TEXT"

    case = radiograph(CR, change=change)
    source = case.sources[0].datasets[0]
    source.PixelData = b""
    turned = as_received(source, syntax)
    again = replace(case, sources=(replace(case.sources[0], datasets=(turned,)),))
    assert again.made() == case.made()
    assert case.one(Kind.SR).OtherPatientIDsSequence[0].PatientID == "Mü-1"
    assert case.one(Kind.SR).PregnancyStatus == 4


@pytest.mark.checklist(31)
@pytest.mark.parametrize("missing", [keyword for keyword in REQUIRED if keyword != "StudyInstanceUID"])
def test_a_missing_attribute_of_type_2_is_empty_in_the_result(missing: str) -> None:
    for ds in made_of(normal(**{missing: None})):
        assert raw(ds, missing) == b""


@pytest.mark.checklist(7, 31)
@pytest.mark.parametrize(
    ("keyword", "stated", "told"),
    [
        ("PatientSex", b"U", None),
        ("PatientSex", b"0000", None),
        ("PatientSex", b"m", None),
        ("StudyTime", b"10:11:12", b"101112"),
        ("StudyTime", b"101112.5", b"101112.5"),
        ("StudyTime", b"1011", b"1011"),
        ("StudyTime", b"25:61:00", None),
        ("StudyTime", b"noon", None),
        ("StudyDate", b"2026.03.01", b"20260301"),
        ("StudyDate", b"2026-03-01", b"20260301"),
        ("StudyDate", b"1 March", None),
        ("PatientBirthDate", b"19800102\0", b"19800102"),
        ("StudyID", b"a study id of far too many characters", b"a study id of fa"),
        ("StudyDescription", b"x" * 100, b"x" * 64),
        ("PatientAge", b"45", ...),
        ("PatientWeight", b"heavy", ...),
        ("PatientWeight", b"71,5", ...),
        ("PatientSize", b"1.75", b"1.75"),
        ("SmokingStatus", b"no idea", ...),
        ("TimezoneOffsetFromUTC", b"+0100", b"+0100"),
        ("TimezoneOffsetFromUTC", b"CET", ...),
        ("PatientID", b"an id of more than sixty-four characters, which some systems really do send", b"same"),
        ("AccessionNumber", b"an accession number too long", b"same"),
    ],
)
def test_what_is_malformed_is_repaired_or_left_out(keyword: str, stated: bytes, told: object) -> None:
    """None: present and empty; ...: absent; `same`: untouched, because it is identity."""
    case = spelled(normal(), {keyword: stated})
    expected = {None: b"", ...: None, b"same": stated}.get(told, told)  # type: ignore[call-overload]
    assert raw(case.one(Kind.SR), keyword) == expected


def test_a_long_study_description_is_cut_between_characters() -> None:
    words = ("膝関節" * 30).encode()
    case = spelled(normal(), {**named(b"ISO_IR 192", b"A^B"), "StudyDescription": words})
    kept = raw(case.one(Kind.SR), "StudyDescription")
    assert kept is not None
    assert kept.decode() == ("膝関節" * 30)[:64]


def codes(*items: tuple[str, str, str]) -> list[Dataset]:
    """Code items."""
    made = []
    for value, scheme, meaning in items:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
        made.append(item)
    return made


def test_nuls_inside_codes_go_and_codes_that_say_nothing_too() -> None:
    def change(ds: Dataset) -> None:
        ds.ProcedureCodeSequence = codes(("XR\0KNEE", "L", "Knee\0"), ("", "L", "nothing"), ("X", "L", ""))

    report = normal(change=change).one(Kind.SR)
    assert [(each.CodeValue, each.CodeMeaning) for each in report.ProcedureCodeSequence] == [("XRKNEE", "Knee")]


def test_a_sequence_of_nothing_but_empty_codes_is_left_out() -> None:
    report = normal(change=lambda ds: setattr(ds, "ProcedureCodeSequence", codes(("", "", "")))).one(Kind.SR)
    assert "ProcedureCodeSequence" not in report


@pytest.mark.checklist(8)
def test_private_elements_and_overlays_stay_behind_at_every_depth() -> None:
    def change(ds: Dataset) -> None:
        for holder in (ds, *codes(("X", "L", "Knee"))):
            holder.add_new(0x00290010, "LO", "ACME")
            holder.add_new(0x00291001, "LO", "secret")
            ds.ProcedureCodeSequence = [holder] if holder is not ds else []
        ds.add_new(0x60003000, "OW", b"\0" * 8)

    case = radiograph(CR, change=change)
    assert "secret" in str(case.sources[0].datasets[0])
    for each in case.made():
        assert b"secret" not in each.data
        assert b"ACME" not in each.data
        assert not [element for element in read(each).iterall() if element.tag.group == 0x6000]


def test_orders_of_somebody_else_are_not_copied() -> None:
    def change(ds: Dataset) -> None:
        ds.RequestAttributesSequence = [Dataset()]
        ds.RequestAttributesSequence[0].RequestedProcedureID = "OTHER"
        ds.InstitutionName, ds.OperatorsName = "Clinic of others", "Op^Erator"

    for each in radiograph(CR, change=change).made():
        for word in (b"OTHER", b"Clinic of others", b"Erator"):
            assert word not in each.data


@pytest.mark.checklist(31)
@pytest.mark.parametrize(
    "bare",
    [
        {"WindowCenter": b"a\\b", "WindowWidth": b"c"},
        {"RescaleSlope": b"one", "RescaleIntercept": b"zero"},
        {"BodyPartExamined": None, "Laterality": None, "PatientOrientation": None},
        {"BitsStored": None, "HighBit": None},
        {"PhotometricInterpretation": None},
        {"LossyImageCompression": b"01"},
        {"InstanceNumber": b"first", "SeriesNumber": None},
    ],
    ids=["window", "slope", "anatomy", "bits", "photometry", "lossy without method", "numbers"],
)
def test_a_header_with_holes_still_makes_all_four_results(bare: dict[str, bytes | None]) -> None:
    assert len(spelled(radiograph(CR), bare).made()) == 4
