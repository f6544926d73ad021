"""What is read from headers: kinds, body parts, sides, views, pixels, and how hostile values are met."""

import struct
import zlib
from dataclasses import fields, replace

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from node.facts.kinds import Kind, class_name
from node.facts.xray import View
from node.headers import ImageFacts, facts_of, read_header, read_header_of_file
from tests.node.made_headers import AXIAL, CLASSES, code, facts, header, item, mr, on_the_wire

KINDS = [
    (header("CR"), Kind.CR),
    (header("CR", Modality="DX"), Kind.CR),
    (header("DX"), Kind.DX),
    (header("DX", Modality=None), Kind.DX),
    (header("DX", PresentationIntentType="FOR PROCESSING"), Kind.DX_FOR_PROCESSING),
    (header("DX for processing"), Kind.DX_FOR_PROCESSING),
    (header("CR", Modality="MG"), Kind.OTHER_IMAGE),
    (header("CR", Modality="RF"), Kind.OTHER_IMAGE),
    (header("CR", Modality="OT"), Kind.OTHER_IMAGE),
    (mr(), Kind.MR),
    (mr(Modality="CT"), Kind.OTHER_IMAGE),
    (header("Enhanced MR"), Kind.ENHANCED_MR),
    (header("SC"), Kind.SECONDARY_CAPTURE),
    (header("CT"), Kind.OTHER_IMAGE),
    (header("MG"), Kind.OTHER_IMAGE),
    (header("IO"), Kind.OTHER_IMAGE),
    (header("SEG"), Kind.NOT_AN_IMAGE),
    (header("SR"), Kind.NOT_AN_IMAGE),
    (header("DX", SOPClassUID=None), Kind.DX),
    (header("DX", SOPClassUID="1.2.3.4"), Kind.OTHER_IMAGE),
    (header("DX", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.59", Rows=None), Kind.NOT_AN_IMAGE),
    (Dataset(), Kind.NOT_AN_IMAGE),
]


@pytest.mark.parametrize(("ds", "kind"), KINDS, ids=[f"{n} {kind}" for n, (_, kind) in enumerate(KINDS)])
def test_an_instance_is_of_a_kind(ds, kind):
    assert facts(ds).kind is kind


def test_a_class_that_contradicts_the_modality_is_told():
    found = facts(header("CR", Modality="MG"))
    assert "The storage class is Computed Radiography Image, but Modality is MG: not analysed." in found.notes


def test_our_own_results_are_known():
    assert facts(header("SC", Manufacturer="Osteon")).is_own_result
    assert facts(header("SEG", ManufacturerModelName="OSTEON node")).is_own_result
    assert not facts(header("SEG", Manufacturer="Osteonics")).is_own_result


PARTS = [
    ({"BodyPartExamined": "KNEE"}, "knee", "BodyPartExamined"),
    ({"BodyPartExamined": "knee "}, "knee", "BodyPartExamined"),
    ({"AnatomicRegionSequence": [code("72696002")], "BodyPartExamined": "CHEST"}, "knee", "AnatomicRegionSequence"),
    ({"AnatomicRegionSequence": [code("T-D9200", "SRT")]}, "knee", "AnatomicRegionSequence"),
    ({"AnatomicRegionSequence": [code("X1", "99ME", "Knie")]}, "knee", "AnatomicRegionSequence"),
    ({"AnatomicRegionSequence": [code("X1", "99ME", "?")], "BodyPartExamined": "HIP"}, "hip", "BodyPartExamined"),
    ({"SeriesDescription": "Hip AP", "StudyDescription": "XR knee and hip"}, "hip", "SeriesDescription"),
    ({"StudyDescription": "XR knee and hip"}, "knee and hip", "StudyDescription"),
    ({"ProtocolName": "Handgelenk"}, "wrist", "ProtocolName"),
    ({"RequestAttributesSequence": [item(RequestedProcedureDescription="Foot")]}, "foot",
     "RequestedProcedureDescription"),
    ({"RequestedProcedureCodeSequence": [code("1", "99L", "Knie ap")]}, "knee", "RequestedProcedureCodeSequence"),
    ({"AcquisitionDeviceProcessingDescription": "KNEE FRONTAL"}, "knee", "AcquisitionDeviceProcessingDescription"),
    ({"BodyPartExamined": "EXTREMITY"}, "limb", "BodyPartExamined"),
    ({"BodyPartExamined": "EXTREMITY", "StudyDescription": "fibroma of distal tibia"}, "tibia",
     "BodyPartExamined and StudyDescription"),
    ({"BodyPartExamined": "LEG", "SeriesDescription": "Knee"}, "knee", "BodyPartExamined and SeriesDescription"),
    ({"BodyPartExamined": "LEG", "SeriesDescription": "Hand"}, "lower limb and hand",
     "BodyPartExamined and SeriesDescription, which do not fit together"),
    ({"BodyPartExamined": "EXTREMITY", "StudyDescription": "Chest"}, "limb and chest",
     "BodyPartExamined and StudyDescription, which do not fit together"),
    ({"BodyPartExamined": "NONSENSE"}, "unknown body part", ""),
    ({}, "unknown body part", ""),
]  # fmt: skip


@pytest.mark.parametrize(("values", "part", "source"), PARTS, ids=[f"{n} {row[1]}" for n, row in enumerate(PARTS)])
def test_a_body_part_comes_from_the_strongest_evidence(values, part, source):
    found = facts(header(**values)).body_part
    assert (str(found), found.source) == (part, source)


def test_a_contradiction_of_body_parts_is_told_once():
    found = facts(header(BodyPartExamined="KNEE", SeriesDescription="chest pa", StudyDescription="chest"))
    assert [note for note in found.notes if "chest" in note] == [
        "BodyPartExamined says knee, SeriesDescription says chest; the first is used."
    ]


SIDES = [
    ({"ImageLaterality": "L"}, "L"),
    ({"Laterality": "R"}, "R"),
    ({"ImageLaterality": "L", "Laterality": "R"}, "L"),
    ({"ImageLaterality": "U"}, "U"),
    ({"ImageLaterality": "B"}, "B"),
    ({"SeriesDescription": "knee left"}, "L"),
    ({"BodyPartExamined": "KNEE", "StudyDescription": "genou droit"}, "R"),
    ({"ImageLaterality": "", "StudyDescription": "左膝", "SpecificCharacterSet": "ISO_IR 192"}, "L"),
    ({"ImageLaterality": "X"}, ""),
    ({}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("values", "side"), SIDES, ids=[f"{n} {row[1]}" for n, row in enumerate(SIDES)])
def test_a_side_is_read_and_never_guessed(values, side):
    assert facts(header(**values)).laterality == side


def test_a_side_comes_from_the_modifier_of_the_region():
    region = code("72696002")
    region.AnatomicRegionModifierSequence = [code("24028007")]
    assert facts(header(AnatomicRegionSequence=[region])).laterality == "R"


def test_a_contradiction_of_sides_is_told():
    found = facts(header(ImageLaterality="L", SeriesDescription="right knee"))
    assert found.laterality == "L"
    assert "ImageLaterality says left, SeriesDescription says right; the first is used." in found.notes


VIEWS = [
    ({"ViewCodeSequence": [code("399348003")]}, View.AP),
    ({"ViewCodeSequence": [code("R-10236", "SRT")]}, View.LATERAL),
    ({"ViewPosition": "LL"}, View.LATERAL),
    ({"ViewPosition": "PA"}, View.PA),
    ({"ViewPosition": "RLO"}, View.OBLIQUE),
    ({"ViewPosition": "?", "SeriesDescription": "knee lat"}, View.LATERAL),
    ({"SeriesDescription": "Knie a.p."}, View.AP),
    ({"SeriesDescription": "genou profil"}, View.LATERAL),
    ({"SeriesDescription": "genou de face"}, View.FRONTAL),
    ({"SeriesDescription": "Patella axial"}, View.AXIAL),
    ({"SeriesDescription": "膝 側面", "SpecificCharacterSet": "ISO_IR 192"}, View.LATERAL),
    ({"SeriesDescription": "膝关节正侧位", "SpecificCharacterSet": "ISO_IR 192"}, View.LATERAL),
    ({"SeriesDescription": "knee AP and lateral"}, View.UNKNOWN),
    ({"PatientOrientation": ["A", "F"]}, View.LATERAL),
    ({"PatientOrientation": ["L", "F"]}, View.FRONTAL),
    ({}, View.UNKNOWN),
]


@pytest.mark.parametrize(("values", "view"), VIEWS, ids=[f"{n} {row[1]}" for n, row in enumerate(VIEWS)])
def test_a_view_is_read_from_code_position_or_words(values, view):
    assert facts(header(**values)).xray.view is view


ORIGINS = [
    (mr(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "localizer"),
    (mr(SeriesDescription="AAHScout"), "localizer"),
    (mr(SeriesDescription="localizer"), "localizer"),
    (mr(SeriesDescription="3-plane loc"), "localizer"),
    (mr(SeriesDescription="Survey"), "localizer"),
    (mr(SeriesDescription="SmartBrain"), "localizer"),
    (mr(SeriesDescription="定位", SpecificCharacterSet="ISO_IR 192"), "localizer"),
    (mr(SeriesDescription="ロケータ", SpecificCharacterSet="ISO_IR 192"), "localizer"),
    (mr(SeriesDescription="velocity map"), ""),
    (mr(SeriesDescription="Sagittal, ext loc ref"), ""),
    (header(SeriesDescription="scout"), ""),  # a radiograph before contrast agent is called so and is a radiograph
    (mr(ImageType=["DERIVED", "PRIMARY", "MIP"]), "derived"),
    (mr(ImageType=["DERIVED", "SECONDARY", "MPR"]), "derived"),
    (mr(ImageType=["ORIGINAL", "PRIMARY", "MPR"]), ""),
    (mr(ImageType=["DERIVED", "PRIMARY", "SUBTRACTION"]), "derived"),
    (mr(ImageType=["DERIVED", "PRIMARY"], SeriesDescription="SUB_t1"), ""),
    (mr(ImageType=["DERIVED", "PRIMARY"], SeriesDescription="t1 subtraction"), "derived"),
    (mr(ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]), ""),
    (mr(ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "FA"]), "derived"),
    (header(ImageType=["DERIVED", "SECONDARY"]), ""),  # compressed again, still a radiograph
    (header(ImageType=["DERIVED", "PRIMARY", "COMPOSED"]), ""),
    (header(ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]), "derived"),
]


@pytest.mark.checklist(38)
@pytest.mark.parametrize(("ds", "expected"), ORIGINS, ids=[f"{n} {row[1]}" for n, row in enumerate(ORIGINS)])
def test_localizers_and_derived_images_are_known(ds, expected):
    found = facts(ds)
    assert "localizer" * found.is_localizer + "derived" * found.is_derived == expected


def test_the_three_planes_of_ge_are_a_localizer():
    ds = mr(Manufacturer="GE MEDICAL SYSTEMS")
    ds.add_new(0x00190010, "LO", "GEMS_ACQU_01")
    ds.add_new(0x00191017, "SS", 256)
    assert facts(ds).is_localizer


@pytest.mark.checklist(38)
def test_scanned_films_are_known():
    assert facts(header("CR", ConversionType="DF")).xray.is_scanned_film
    assert facts(header("CR", NominalScannedPixelSpacing=[0.1, 0.1])).xray.is_scanned_film
    assert facts(header("CR", Manufacturer="VIDAR Systems")).xray.is_scanned_film
    assert not facts(header("CR", ImagerPixelSpacing=[0.1, 0.1])).xray.is_scanned_film


def test_every_field_of_spacing_is_kept():
    found = facts(
        header(
            PixelSpacing=[0.15, 0.16], PixelSpacingCalibrationType="GEOMETRY", ImagerPixelSpacing=[0.2, 0.2],
            EstimatedRadiographicMagnificationFactor="1.1",
        )
    ).spacing  # fmt: skip
    assert (found.pixel_mm, found.calibration) == ((0.15, 0.16), "GEOMETRY")
    assert (found.imager_mm, found.magnification, found.nominal_scanned_mm) == ((0.2, 0.2), 1.1, None)


def test_animals_and_teeth_are_known():
    assert facts(header(PatientSpeciesDescription="Canine")).is_animal
    assert facts(header(PatientBreedDescription="Beagle")).is_animal
    assert not facts(header(PatientSpeciesDescription="Homo sapiens", PatientBreedDescription="")).is_animal
    assert facts(header("IO")).is_dental
    assert facts(header("CR", Modality="PX")).is_dental


def test_a_patient_key_is_the_same_for_the_same_patient_and_tells_nothing():
    one, same = facts(header(PatientID="Secret1 ")), facts(header(PatientID="Secret1"))
    other = facts(header(PatientID="Secret1", IssuerOfPatientID="Elsewhere"))
    assert one.patient_key == same.patient_key != other.patient_key
    assert "Secret" not in repr(one)
    assert facts(header(), patient_key="given").patient_key == "given"


def test_text_of_a_header_never_gets_into_the_facts():
    ds = header(
        PatientName="CANARY^Ann", StudyDescription="CANARY knee", SeriesDescription="CANARY", BodyPartExamined="CANARY",
        ProtocolName="CANARY hip", ViewPosition="CANARY", ImageLaterality="CANARY", PhotometricInterpretation="RGB",
    )  # fmt: skip
    found = facts(ds)
    told = [
        getattr(found, field.name) for field in fields(ImageFacts) if field.name not in ("image_type", "manufacturer")
    ]
    assert "CANARY" not in repr(told)


def _raw(ds, keyword_tag, vr, value, little=True):
    tag = Tag(keyword_tag)
    ds[tag] = RawDataElement(tag, vr, len(value), value, 0, False, little)
    return ds


BROKEN = {
    "rows as text": (0x00280010, "LO", b"abc "),
    "rows empty": (0x00280010, "US", b""),
    "rows of one byte": (0x00280010, "US", b"\x05"),
    "rows twice": (0x00280010, "US", b"\x40\x00\x40\x00"),
    "frames negative": (0x00280008, "IS", b"-5"),
    "frames no number": (0x00280008, "IS", b"many"),
    "frames huge": (0x00280008, "IS", b"9" * 400),
    "series number nan": (0x00200011, "IS", b"NaN "),
    "instance number inf": (0x00200013, "IS", b"inf "),
    "spacing nan": (0x00280030, "DS", b"NaN\\NaN "),
    "spacing of three": (0x00280030, "DS", b"1\\2\\3 "),
    "spacing negative": (0x00280030, "DS", b"-1\\-1 "),
    "spacing with commas": (0x00280030, "DS", b"0,15\\0,15 "),
    "orientation of five": (0x00200037, "DS", b"1\\0\\0\\0\\1 "),
    "orientation nan": (0x00200037, "DS", b"nan\\0\\0\\0\\1\\0"),
    "orientation as doubles": (0x00200037, "FD", struct.pack("<6d", *AXIAL)),
    "image type empty": (0x00080008, "CS", b"\\\\\\"),
    "modality as bytes": (0x00080060, "OB", b"\xff\xfe\x00\x01"),
    "class of nonsense": (0x00080016, "UI", b"../../etc/passwd"),
    "region as text": (0x00082218, "SQ", b"not a sequence at all"),
    "region as unknown": (0x00082218, "UN", b"\xfe\xff\x00\xe0\xff\xff\xff\xff"),
    "request as text": (0x00400275, "LO", b"KNEE"),
    "character set unknown": (0x00080005, "CS", b"KLINGON "),
    "character set nonsense": (0x00080005, "CS", b"\x00\xff\\\xfe"),
    "description of a megabyte": (0x0008103E, "LO", b"knee " * 200_000),
    "description of zeros": (0x0008103E, "LO", bytes(1000)),
    "description with escapes": (0x0008103E, "LO", b"\x1b$)C\x1b(J\x1b\x1b$B\xff"),
    "view number": (0x00185101, "US", b"\x01\x00"),
    "burned in number": (0x00280301, "FD", struct.pack("<d", 1.0)),
    "patient id of zeros": (0x00100020, "LO", bytes(4000)),
    "frames groups as text": (0x52009230, "UN", b"frames"),
}


@pytest.mark.parametrize("base", [header, mr, lambda: header("Enhanced MR")], ids=["DX", "MR", "Enhanced MR"])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_value_never_raises(name, base):
    found = facts_of(_raw(base(), *BROKEN[name]))
    assert found.study_instance_uid


def test_broken_numbers_are_told_and_left_out():
    found = facts_of(_raw(header(), *BROKEN["spacing nan"]))
    assert found.spacing.pixel_mm is None
    assert any(note.startswith("PixelSpacing") for note in found.notes)
    assert facts_of(_raw(header(), *BROKEN["spacing with commas"])).spacing.pixel_mm == (0.15, 0.15)
    assert facts_of(_raw(header(), *BROKEN["rows twice"])).pixels.rows == 64
    assert facts_of(_raw(header(), 0x00280010, "US", b"\x00\x40", little=False)).pixels.rows == 64


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_a_header_is_read_from_the_bytes_of_every_syntax(syntax):
    ds = header(BodyPartExamined="KNEE")
    ds.add_new(0x7FE00010, "OW", b"\x00" * 64)
    data = on_the_wire(ds, implicit=syntax == ImplicitVRLittleEndian)
    if syntax == DeflatedExplicitVRLittleEndian:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = packer.compress(data) + packer.flush()
    read = read_header(data, syntax)
    assert read.has_pixel_data
    found = facts_of(read)
    assert (str(found.body_part), found.pixels.rows, found.pixels.is_present) == ("knee", 64, True)


def test_a_header_without_pixels_says_so():
    assert facts(header()).pixels.is_present is False
    assert facts_of(header()).pixels.is_present is None


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, "1.2.3"])
@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 100, b"\x08\x00\x16\x00UI\xff\xff", b"\x10\x00" * 50])
def test_bytes_that_are_no_data_set_never_raise(data, syntax):
    assert facts_of(read_header(data, syntax)).kind in (Kind.NOT_AN_IMAGE, Kind.OTHER_IMAGE)


def test_a_deflated_header_of_nonsense_has_a_fault():
    read = read_header(b"nonsense", DeflatedExplicitVRLittleEndian)
    assert read.fault
    assert facts_of(read).fault == read.fault


def test_every_cut_of_a_header_is_survived():
    data = on_the_wire(header(BodyPartExamined="KNEE", AnatomicRegionSequence=[code("72696002")]))
    for end in range(0, len(data), 7):
        facts_of(read_header(data[:end], ExplicitVRLittleEndian))


def test_a_file_that_is_none_has_a_fault(tmp_path):
    path = tmp_path / "text"
    path.write_text("hello")
    facts_of(read_header_of_file(path))
    assert read_header_of_file(tmp_path / "absent").fault


def test_facts_are_values():
    found = facts(header(BodyPartExamined="KNEE"))
    assert found == replace(found)
    assert hash(found)
    assert CLASSES["DX"] == found.sop_class_uid


@pytest.mark.parametrize("uid", ["\x01\x0b", "1.2 ", "\n1.2.840.10008.5.1.4.1.1.7", "\u3000"])
def test_a_class_that_is_no_uid_is_not_repeated(uid: str) -> None:
    assert class_name(uid) == "unknown to DICOM"


def test_a_class_of_the_standard_has_its_name() -> None:
    assert class_name("1.2.840.10008.5.1.4.1.1.7") == "Secondary Capture Image"
    assert class_name("") == "not given"
