"""Whatever a header holds: an answer, never an exception; whatever a study holds: a decision in words."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node import explain
from node.headers import facts_of, read_header
from node.route import CardFacts, Need, route
from node.series import series_of
from tests.node.made_headers import CLASSES, code, header, item, mr, on_the_wire

TAGS = [
    0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080060, 0x00080064, 0x00080068, 0x00080070, 0x00081030,
    0x0008103E, 0x00082218, 0x00089007, 0x00089209, 0x00100020, 0x00102202, 0x00180010, 0x00180015, 0x00180020,
    0x00180022, 0x00180024, 0x00180080, 0x00180081, 0x00180082, 0x00181030, 0x00181042, 0x00181114, 0x00181164,
    0x00181314, 0x00181400, 0x00185101, 0x00189087, 0x00189117, 0x00200011, 0x00200013, 0x00200020, 0x00200032,
    0x00200037, 0x00200052, 0x00200060, 0x00200062, 0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011,
    0x00280030, 0x00280100, 0x00280101, 0x00280102, 0x00280301, 0x00400275, 0x00540220, 0x52009229, 0x52009230,
    0x00190010, 0x0019100C, 0x00290010, 0x00291010, 0x00430010, 0x00431039, 0x20010010, 0x20011003, 0x20011004,
    0x00650010, 0x00651009, 0x00651050,
]  # fmt: skip
VRS = [
    None,
    "UN",
    "CS",
    "LO",
    "SH",
    "DS",
    "IS",
    "US",
    "SS",
    "UL",
    "FL",
    "FD",
    "UI",
    "TM",
    "OB",
    "OW",
    "SQ",
    "AT",
    "PN",
    "UT",
]
INTERESTING = [
    b"", b"\\", b"\\\\", b"0", b"-1", b"1e400", b"NaN", b"KNEE", b"LEG\\CHEST", b"MR", b"DX",
    b"ISO_IR 192", b"ISO 2022 IR 87", b"SIEMENS MR HEADER", b"SIEMENS CSA HEADER", b"GEMS_PARM_01",
    b"Philips Imaging DD 001",
    b"Image Private Header",
    b"DERIVED\\PRIMARY\\MOSAIC", b"1\\0\\0\\0\\1\\0", b"SV10" + b"\x01" * 200, b"\xfe\xff\x00\xe0\x10\x00\x00\x00",
    "膝関節".encode("shift_jis"), "Fuß links".encode("latin-1"), b"\xff" * 50,
]  # fmt: skip

values = st.one_of(st.sampled_from(INTERESTING), st.binary(max_size=64))
elements = st.builds(
    lambda tag, vr, value, little: RawDataElement(Tag(tag), vr, len(value), value, 0, vr is None, little),
    st.sampled_from(TAGS), st.sampled_from(VRS), values, st.booleans(),
)  # fmt: skip
uids = st.sampled_from([*CLASSES.values(), "", "1.2", "1.2.840.10008.5.1.4.1.1.4.4"])


def _data_set(class_uid, raw, nested, is_radiograph):
    """As the reader leaves it: undecoded elements in a dictionary."""
    found = dict((header("DX") if is_radiograph else mr())._dict)
    found[Tag(0x00080016)] = RawDataElement(Tag(0x00080016), "UI", len(class_uid), class_uid.encode(), 0, False, True)
    found |= {element.tag: element for element in raw}
    if nested:
        inner = Dataset({element.tag: element for element in nested})
        for tag in (0x00082218, 0x52009229, 0x52009230, 0x00189117, 0x00400275):
            found[Tag(tag)] = DataElement(Tag(tag), "SQ", Sequence([inner]))
    return Dataset(found)


data_sets = st.builds(_data_set, uids, st.lists(elements, max_size=12), st.lists(elements, max_size=6), st.booleans())
CARDS = [
    CardFacts(
        "knee", "1", frozenset({"CR", "DX"}), frozenset({"limb", "pelvis"}), views=frozenset({"frontal", "lateral"})
    ),
    CardFacts(
        "dwi", "1", frozenset({"MR"}), frozenset({"limb"}), needs=(Need("b", frozenset({"DWI"}), b_values=(500, 1000)),)
    ),
]
FAST = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FAST
@given(st.lists(data_sets, min_size=1, max_size=4))
def test_any_study_gets_exactly_one_decision_in_words(study):
    series = series_of([facts_of(ds) for ds in study])
    decision = route(series, CARDS)
    assert (decision.chosen is None) != (decision.outcome is None)
    assert all(sentence.endswith(".") for sentence in decision.explanation)
    assert all("\n" not in sentence and sentence.isprintable() for sentence in decision.explanation)
    assert json.dumps(explain.as_dict(series, decision), allow_nan=False)
    assert explain.as_text(series, decision).startswith(decision.summary)


@FAST
@given(st.binary(max_size=400), st.sampled_from([ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]))
def test_any_bytes_give_facts(data, syntax):
    facts_of(read_header(data, syntax))


BASE = on_the_wire(header(BodyPartExamined="KNEE", AnatomicRegionSequence=[code("72696002")], ViewPosition="AP"))
BASE_MR = on_the_wire(mr(SeriesDescription="t1", MRDiffusionSequence=[item(DiffusionBValue=800.0)], RepetitionTime=500))


@FAST
@given(st.sampled_from([BASE, BASE_MR]), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=8))
def test_a_header_with_flipped_bytes_gives_facts(base, flips):
    data = bytearray(base)
    for place, value in flips:
        data[place % len(data)] = value
    facts_of(read_header(bytes(data), ExplicitVRLittleEndian))


@pytest.mark.checklist(62)
@FAST
@given(st.lists(data_sets, min_size=1, max_size=3))
def test_a_canary_in_any_text_is_told_nowhere(study):
    texts = (0x0008103E, 0x00081030, 0x00180015, 0x00080008, 0x00080070, 0x00185101, 0x00280004, 0x00080060)
    told = {Tag(tag): RawDataElement(Tag(tag), "LO", 16, b"CANARY knee left", 0, False, True) for tag in texts}
    series = series_of([facts_of(Dataset({**ds._dict, **told})) for ds in study])
    decision = route(series, CARDS)
    assert "CANARY" not in explain.as_text(series, decision) + json.dumps(explain.as_dict(series, decision))
