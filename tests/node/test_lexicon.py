"""Words for body regions and sides, in nine languages and their usual encodings."""

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from node.facts.regions import REGION_OF_CODE, REGIONS, Region, are_related, is_within, most_exact
from node.headers import facts_of
from node.lexicon import region_of_code, regions_in, side_in

TEXTS = [
    # English
    ("XR KNEE 2 VIEWS RT", ["knee"]),
    ("Knees, both, standing", ["knee"]),
    ("hip and knee", ["hip", "knee"]),
    ("Lower Extremity", ["lower_limb"]),
    ("UPPER EXT", ["upper_limb"]),
    ("femoral neck", ["hip"]),
    ("Neck of femur", ["hip"]),
    ("radial head view", ["elbow"]),
    ("soft tissue neck", ["neck"]),
    ("tib/fib", ["lower_leg"]),
    ("T-Spine", ["thoracic_spine"]),
    ("Non-ossifying fibroma of distal tibia", ["tibia"]),
    ("CHEST PA", ["chest"]),
    ("dental panoramic", ["teeth"]),
    ("RTKNEE", ["knee"]),
    ("LFOOT", ["foot"]),
    ("KneeAP", ["knee"]),
    ("HAND_WRIST", ["hand", "wrist"]),
    # what only looks like a region
    ("C-Arm fluoroscopy", []),
    ("main PACS archive", []),
    ("Head first supine", []),
    ("alarm", []),
    ("handbook", []),
    ("T1 tse post PE", []),
    ("shipped", []),
    # German
    ("Knie links 2 Ebenen", ["knee"]),
    ("Kniegelenk a.p.", ["knee"]),
    ("Handgelenk re", ["wrist"]),
    ("Mittelhand", ["hand"]),
    ("Hüfte axial", ["hip"]),
    ("HUEFTGELENK", ["hip"]),
    ("Beckenübersicht", ["pelvis"]),
    ("Oberschenkel", ["thigh"]),
    ("OSG seitlich", ["ankle"]),
    ("Fuß dp", ["foot"]),
    ("LWS in 2 Ebenen", ["lumbar_spine"]),
    ("Brustwirbelsäule", ["thoracic_spine"]),
    ("Schlüsselbein", ["clavicle"]),
    # French
    ("Genou gauche face/profil", ["knee"]),
    ("Main droite face", ["hand"]),
    ("Radiographie de la main", ["hand"]),
    ("Poignet profil", ["wrist"]),
    ("hanche de face", ["hip"]),
    ("Bassin debout", ["pelvis"]),
    ("rachis lombaire", ["lumbar_spine"]),
    ("col du fémur", ["hip"]),
    ("avant-bras", ["forearm"]),
    ("épaule", ["shoulder"]),
    # Spanish
    ("Rodilla derecha", ["knee"]),
    ("muñeca izquierda", ["wrist"]),
    ("Cadera", ["hip"]),
    ("dedos del pie", ["toe"]),
    ("Mano AP", ["hand"]),
    ("columna lumbar", ["lumbar_spine"]),
    ("tórax", ["chest"]),
    # Italian
    ("Ginocchio sinistro", ["knee"]),
    ("anca", ["hip"]),
    ("caviglia dx", ["ankle"]),
    ("arto inferiore", ["lower_limb"]),
    ("collo del femore", ["hip"]),
    ("polso", ["wrist"]),
    # Portuguese
    ("Joelho direito", ["knee"]),
    ("Pé esquerdo", ["foot"]),
    ("mão", ["hand"]),
    ("tornozelo", ["ankle"]),
    ("quadril", ["hip"]),
    ("punho", ["wrist"]),
    # Dutch
    ("Knie rechts", ["knee"]),
    ("heup", ["hip"]),
    # Japanese
    ("膝関節 正面", ["knee"]),
    ("手関節", ["wrist"]),
    ("右手", ["hand"]),
    ("股関節", ["hip"]),
    ("大腿骨頭", ["hip"]),
    ("下腿", ["lower_leg"]),
    ("足関節", ["ankle"]),
    ("手術前 胸部", ["chest"]),
    ("腰椎", ["lumbar_spine"]),
    # Chinese
    ("左膝关节正侧位", ["knee"]),
    ("右手腕", ["wrist"]),
    ("骨盆正位", ["pelvis"]),
    ("股骨颈", ["hip"]),
    ("胫腓骨", ["lower_leg"]),
    ("颈椎", ["cervical_spine"]),
    ("手术", []),
    ("膝關節", ["knee"]),
    # Korean
    ("무릎 AP", ["knee"]),
    ("손목", ["wrist"]),
    ("손", ["hand"]),
    ("발목 측면", ["ankle"]),
    ("고관절", ["hip"]),
    ("요추", ["lumbar_spine"]),
    ("재발 의심", []),
    ("손상 무릎", ["knee"]),
]


@pytest.mark.checklist(37)
@pytest.mark.parametrize(("text", "expected"), TEXTS, ids=[text for text, _ in TEXTS])
def test_a_text_names_its_regions(text, expected):
    assert [region.value for region in regions_in(text)] == expected


TERMS = [
    ("KNEE", "knee"), ("EXTREMITY", "limb"), ("LEG", "lower_limb"), ("LOWERLEG", "lower_leg"),
    ("UPPERARM", "upper_arm"),
    ("CSPINE", "cervical_spine"), ("LSSPINE", "lumbar_spine"), ("TSPINE", "thoracic_spine"), ("SSPINE", "sacrum"),
    ("ANKLE", "ankle"), ("CALCANEUS", "calcaneus"), ("CHEST", "chest"), ("SKULL", "skull"), ("JAW", "jaw"),
    ("MAIN", "hand"), ("FACE", "face"), ("HIP", "hip"), ("ELBOW JOINT", "elbow"), ("FOREARM", "forearm"),
    ("PELVIS", "pelvis"), ("SIJOINT", "sacroiliac_joint"), ("WHOLEBODY", "whole_body"), ("TOOTH", "teeth"),
    ("KNIE", "knee"), ("膝", "knee"), ("무릎", "knee"), ("PATELLA", "patella"), ("TIBIA FIBULA", "lower_leg"),
    ("ARM", "upper_limb"), ("LOWER LIMB", "lower_limb"), ("PHANTOM", "phantom"),
]  # fmt: skip


@pytest.mark.checklist(37)
@pytest.mark.parametrize(("term", "expected"), TERMS, ids=[term for term, _ in TERMS])
def test_a_term_of_body_part_examined_names_one_region(term, expected):
    assert [region.value for region in regions_in(term, is_term=True)] == [expected]


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("knee left", "L"), ("RT KNEE", "R"), ("Knie re.", "R"), ("Hüfte li", "L"), ("genou gauche", "L"),
        ("main droite", "R"), ("genou D", "R"), ("rodilla izq", "L"), ("ginocchio destro", "R"),
        ("joelho esquerdo", "L"),
        ("左膝", "L"), ("右手関節", "R"), ("두 무릎 양측", "B"), ("우측 무릎", "R"), ("좌 슬관절", "L"),
        ("両膝", "B"),
        ("both knees", "B"), ("knee R/L", "B"), ("Füße bds.", "B"), ("left and right hand", "B"), ("KNEE R", "R"),
        ("R HAND", "R"), ("RTKNEE", "R"), ("LHIP", "L"), ("knee", ""), ("L SPINE", ""), ("femoral", ""),
        ("CHEST L", ""),
        ("2R", ""), ("", ""), ("T2 tse r", ""),
    ],
)  # fmt: skip
def test_a_text_names_a_side_or_none(text, side):
    assert side_in(text) == side


ENCODED = [
    ("膝関節", "shift_jis", "knee"), ("膝関節", "utf-8", "knee"), ("手関節", "euc_jp", "wrist"),
    ("左膝关节正侧位", "gb18030", "knee"), ("骨盆", "gb18030", "pelvis"),
    ("骨盆", "big5", "pelvis"), ("腕关节", "utf-8", "wrist"),
    ("무릎", "euc_kr", "knee"), ("손목", "euc_kr", "wrist"), ("골반", "utf-8", "pelvis"),
    ("Hüfte", "latin-1", "hip"), ("Hüfte", "utf-8", "hip"), ("Fuß", "latin-1", "foot"), ("Schädel", "latin-1", "skull"),
    ("épaule", "latin-1", "shoulder"), ("muñeca", "latin-1", "wrist"),
    ("Pé", "utf-8", "foot"), ("tórax", "latin-1", "chest"),
]  # fmt: skip


@pytest.mark.checklist(37)
@pytest.mark.parametrize("declared", [b"", b"ISO_IR 100"], ids=["undeclared", "declared as Latin-1"])
@pytest.mark.parametrize(("text", "codec", "region"), ENCODED, ids=[f"{text} in {codec}" for text, codec, _ in ENCODED])
def test_a_wrong_or_missing_character_set_is_seen_through(text, codec, region, declared):
    ds = Dataset()
    ds[Tag(0x0008, 0x0005)] = _raw(0x0008, 0x0005, b"CS", declared)
    ds[Tag(0x0008, 0x1030)] = _raw(0x0008, 0x1030, b"LO", text.encode(codec))
    found = facts_of(ds)
    assert [part.value for part in found.body_part.regions] == [region]
    foreign = not declared or codec != "latin-1"
    assert any("character set" in note for note in found.notes) == foreign


def _raw(group, element, vr, value):
    return RawDataElement(Tag(group, element), vr.decode(), len(value), value, 0, False, True)


@pytest.mark.checklist(37)
@pytest.mark.parametrize(
    ("declared", "codec", "text", "region"),
    [
        ("ISO_IR 192", "utf-8", "무릎", "knee"),
        ("ISO_IR 13", "shift_jis", "ﾋｻﾞ", "knee"),
        ("GB18030", "gb18030", "髋关节", "hip"),
        ("ISO_IR 109", "iso8859-3", "Hüfte", "hip"),
    ],
)
def test_a_declared_character_set_is_used(declared, codec, text, region):
    ds = Dataset()
    ds[Tag(0x0008, 0x0005)] = _raw(0x0008, 0x0005, b"CS", declared.encode())
    ds[Tag(0x0008, 0x103E)] = _raw(0x0008, 0x103E, b"LO", text.encode(codec))
    found = facts_of(ds)
    assert [part.value for part in found.body_part.regions] == [region]
    assert not [note for note in found.notes if "character set" in note]


@pytest.mark.checklist(37)
def test_iso_2022_escapes_are_followed():
    raw = b"\x1b$B" + "膝関節".encode("iso2022_jp")[3:-3] + b"\x1b(B"
    ds = Dataset()
    ds[Tag(0x0008, 0x0005)] = _raw(0x0008, 0x0005, b"CS", b"\\ISO 2022 IR 87")
    ds[Tag(0x0008, 0x1030)] = _raw(0x0008, 0x1030, b"LO", raw)
    assert [part.value for part in facts_of(ds).body_part.regions] == ["knee"]


def test_every_region_has_a_code_and_every_code_a_region():
    assert set(REGIONS) == set(Region)
    for region, facts in REGIONS.items():
        found = region_of_code(facts.code)
        assert found is region or region is Region.PELVIC_ORGANS
    assert region_of_code("T-D9200") is Region.KNEE
    assert region_of_code("no such code") is None
    assert len(REGION_OF_CODE) > 100


def test_a_key_of_a_card_covers_the_parts_of_its_region():
    assert is_within(Region.PATELLA, {"limb"})
    assert is_within(Region.HIP, {"pelvis"})
    assert is_within(Region.LOWER_LIMB, {"limb"})
    assert not is_within(Region.LIMB, {"knee"})
    assert not is_within(Region.CLAVICLE, {"limb"})
    assert not is_within(Region.PELVIC_ORGANS, {"pelvis"})


def test_a_region_drops_out_where_a_part_of_it_is_named():
    assert most_exact([Region.LOWER_LIMB, Region.KNEE, Region.KNEE]) == (Region.KNEE,)
    assert are_related(Region.KNEE, Region.LIMB)
    assert not are_related(Region.KNEE, Region.HIP)


def test_a_text_of_a_million_characters_is_no_burden():
    assert regions_in("knee " + "x" * 1_000_000) == (Region.KNEE,)
    assert side_in("left knee " * 100_000) == "L"
