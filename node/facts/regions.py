"""The body regions that a study can be of, their codes, and which region is part of which.

The keys ("knee", "lower_leg", ...) are what a model's card lists under `body_parts` and what node/report codes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Region(StrEnum):
    """A body region. The limb and pelvis ones are fine; the rest is as fine as an explanation needs."""

    LIMB = "limb"
    """Some limb, not said which (EXTREMITY)."""
    UPPER_LIMB = "upper_limb"
    LOWER_LIMB = "lower_limb"
    SHOULDER = "shoulder"
    CLAVICLE = "clavicle"
    SCAPULA = "scapula"
    UPPER_ARM = "upper_arm"
    HUMERUS = "humerus"
    ELBOW = "elbow"
    FOREARM = "forearm"
    RADIUS = "radius"
    ULNA = "ulna"
    WRIST = "wrist"
    HAND = "hand"
    FINGER = "finger"
    THUMB = "thumb"
    PELVIS = "pelvis"
    SACROILIAC_JOINT = "sacroiliac_joint"
    HIP = "hip"
    THIGH = "thigh"
    FEMUR = "femur"
    KNEE = "knee"
    PATELLA = "patella"
    LOWER_LEG = "lower_leg"
    TIBIA = "tibia"
    FIBULA = "fibula"
    ANKLE = "ankle"
    FOOT = "foot"
    CALCANEUS = "calcaneus"
    TOE = "toe"
    SPINE = "spine"
    CERVICAL_SPINE = "cervical_spine"
    THORACIC_SPINE = "thoracic_spine"
    LUMBAR_SPINE = "lumbar_spine"
    SACRUM = "sacrum"
    COCCYX = "coccyx"
    CHEST = "chest"
    RIBS = "ribs"
    STERNUM = "sternum"
    BREAST = "breast"
    HEART = "heart"
    ABDOMEN = "abdomen"
    PELVIC_ORGANS = "pelvic_organs"
    """Prostate, uterus, bladder, rectum: not the bony pelvis."""
    HEAD = "head"
    SKULL = "skull"
    BRAIN = "brain"
    FACE = "face"
    JAW = "jaw"
    TEETH = "teeth"
    NECK = "neck"
    WHOLE_BODY = "whole_body"
    PHANTOM = "phantom"
    """A test object, not a person."""


@dataclass(frozen=True, slots=True)
class RegionFacts:
    """The code a region is reported with (SNOMED CT, CID 4031), and the regions it is part of."""

    code: str
    meaning: str
    part_of: tuple[Region, ...] = ()


_R = Region
REGIONS: dict[Region, RegionFacts] = {
    _R.LIMB: RegionFacts("66019005", "Extremity"),
    _R.UPPER_LIMB: RegionFacts("53120007", "Upper limb", (_R.LIMB,)),
    _R.LOWER_LIMB: RegionFacts("61685007", "Lower limb", (_R.LIMB,)),
    _R.SHOULDER: RegionFacts("16982005", "Shoulder", (_R.UPPER_LIMB,)),
    _R.CLAVICLE: RegionFacts("51299004", "Clavicle"),
    _R.SCAPULA: RegionFacts("79601000", "Scapula"),
    _R.UPPER_ARM: RegionFacts("40983000", "Upper arm", (_R.UPPER_LIMB,)),
    _R.HUMERUS: RegionFacts("85050009", "Humerus", (_R.UPPER_ARM,)),
    _R.ELBOW: RegionFacts("16953009", "Elbow joint", (_R.UPPER_LIMB,)),
    _R.FOREARM: RegionFacts("14975008", "Forearm", (_R.UPPER_LIMB,)),
    _R.RADIUS: RegionFacts("62413002", "Bone of radius", (_R.FOREARM,)),
    _R.ULNA: RegionFacts("23416004", "Ulna", (_R.FOREARM,)),
    _R.WRIST: RegionFacts("74670003", "Wrist joint", (_R.UPPER_LIMB,)),
    _R.HAND: RegionFacts("85562004", "Hand", (_R.UPPER_LIMB,)),
    _R.FINGER: RegionFacts("7569003", "Finger", (_R.HAND,)),
    _R.THUMB: RegionFacts("76505004", "Thumb", (_R.FINGER,)),
    _R.PELVIS: RegionFacts("816092008", "Pelvis"),
    _R.SACROILIAC_JOINT: RegionFacts("39723000", "Sacroiliac joint", (_R.PELVIS,)),
    _R.HIP: RegionFacts("29836001", "Hip", (_R.PELVIS,)),
    _R.THIGH: RegionFacts("68367000", "Thigh", (_R.LOWER_LIMB,)),
    _R.FEMUR: RegionFacts("71341001", "Femur", (_R.THIGH,)),
    _R.KNEE: RegionFacts("72696002", "Knee", (_R.LOWER_LIMB,)),
    _R.PATELLA: RegionFacts("64234005", "Patella", (_R.KNEE,)),
    _R.LOWER_LEG: RegionFacts("30021000", "Lower leg", (_R.LOWER_LIMB,)),
    _R.TIBIA: RegionFacts("12611008", "Tibia", (_R.LOWER_LEG,)),
    _R.FIBULA: RegionFacts("87342007", "Fibula", (_R.LOWER_LEG,)),
    _R.ANKLE: RegionFacts("70258002", "Ankle joint", (_R.LOWER_LIMB,)),
    _R.FOOT: RegionFacts("56459004", "Foot", (_R.LOWER_LIMB,)),
    _R.CALCANEUS: RegionFacts("80144004", "Calcaneus", (_R.FOOT,)),
    _R.TOE: RegionFacts("29707007", "Toe", (_R.FOOT,)),
    _R.SPINE: RegionFacts("421060004", "Spine"),
    _R.CERVICAL_SPINE: RegionFacts("122494005", "Cervical spine", (_R.SPINE,)),
    _R.THORACIC_SPINE: RegionFacts("122495006", "Thoracic spine", (_R.SPINE,)),
    _R.LUMBAR_SPINE: RegionFacts("122496007", "Lumbar spine", (_R.SPINE,)),
    _R.SACRUM: RegionFacts("54735007", "Sacrum", (_R.SPINE,)),
    _R.COCCYX: RegionFacts("64688005", "Coccyx", (_R.SPINE,)),
    _R.CHEST: RegionFacts("816094009", "Chest"),
    _R.RIBS: RegionFacts("113197003", "Rib", (_R.CHEST,)),
    _R.STERNUM: RegionFacts("56873002", "Sternum", (_R.CHEST,)),
    _R.BREAST: RegionFacts("76752008", "Breast"),
    _R.HEART: RegionFacts("80891009", "Heart", (_R.CHEST,)),
    _R.ABDOMEN: RegionFacts("818981001", "Abdomen"),
    _R.PELVIC_ORGANS: RegionFacts("816092008", "Pelvis"),
    _R.HEAD: RegionFacts("69536005", "Head"),
    _R.SKULL: RegionFacts("89546000", "Skull", (_R.HEAD,)),
    _R.BRAIN: RegionFacts("12738006", "Brain", (_R.HEAD,)),
    _R.FACE: RegionFacts("91397008", "Facial bones", (_R.HEAD,)),
    _R.JAW: RegionFacts("661005", "Jaw region", (_R.HEAD,)),
    _R.TEETH: RegionFacts("38199008", "Tooth", (_R.JAW,)),
    _R.NECK: RegionFacts("45048000", "Neck"),
    _R.WHOLE_BODY: RegionFacts("38266002", "Entire body"),
    _R.PHANTOM: RegionFacts("706342009", "Phantom"),
}

GENERIC = frozenset({Region.LIMB, Region.UPPER_LIMB, Region.LOWER_LIMB})
"""Regions that are named where nobody said which part; a more exact word elsewhere may narrow them."""

_MORE_CODES: dict[Region, str] = {
    _R.UPPER_LIMB: "371195002 30608006",  # bone, muscle of upper limb
    _R.LOWER_LIMB: "72001000 102292000",  # bone, muscle of lower limb
    _R.HUMERUS: "118495001 119524001 20760004",  # distal, proximal, shaft
    _R.RADIUS: "75129005 12881000 47728000",
    _R.ULNA: "91238003 34318004 21133008",
    _R.WRIST: "8205005",  # carpus
    _R.HAND: "36455000 24097009",  # metacarpal, hand bone
    _R.FINGER: "125682004",  # finger joint
    _R.SHOULDER: "85856004",  # acromioclavicular joint
    _R.PELVIS: "12921003 118645006 22356005",  # retired pelvis, bony pelvis, ilium
    _R.HIP: "24136001",  # hip joint
    _R.FEMUR: "310652005 310651003 41111004 2812003",  # distal, proximal, shaft, head
    _R.KNEE: "49076000",  # knee joint
    _R.TIBIA: "64605006 52687003 306783000",  # distal, shaft, plateau
    _R.FOOT: "67453005 27949001 58742003",  # talus, tarsal joint, sesamoids
    _R.LUMBAR_SPINE: "1217253001 1217256009",  # lumbosacral, thoracolumbar
    _R.THORACIC_SPINE: "1217257000",  # cervicothoracic
    _R.SACRUM: "1217254007",  # sacrococcygeal
    _R.CHEST: "51185008 39607008 72410000",  # retired thorax, lung, mediastinum
    _R.ABDOMEN: "113345001 10200004 64033007 818982008",  # retired abdomen, liver, kidney, abdomen and pelvis
    _R.PELVIC_ORGANS: "41216001 35039007 89837001 34402009",  # prostate, uterus, bladder, rectum
    _R.JAW: "91609006 70925003",  # mandible, maxilla
}

_RETIRED_CODES: dict[Region, str] = {  # SNOMED-RT style codes, still written by scanners (PS3.16 8.1)
    _R.LIMB: "T-D0300", _R.UPPER_LIMB: "T-D8000 T-D0821 T-13600", _R.LOWER_LIMB: "T-D9000 T-12700 T-14668",
    _R.SHOULDER: "T-D2220 T-15420", _R.CLAVICLE: "T-12310", _R.SCAPULA: "T-12280", _R.UPPER_ARM: "T-D8200",
    _R.HUMERUS: "T-12410 T-1241F T-1240F T-12412", _R.ELBOW: "T-15430", _R.FOREARM: "T-D8500",
    _R.RADIUS: "T-12420 T-1242B T-1242A T-12423", _R.ULNA: "T-12430 T-1243B T-1243A T-12435",
    _R.WRIST: "T-15460 T-D8600", _R.HAND: "T-D8700 T-12540 T-12600", _R.FINGER: "T-D8800 T-15516",
    _R.THUMB: "T-D8810", _R.PELVIS: "T-D6000 T-12340 T-12375", _R.SACROILIAC_JOINT: "T-15680",
    _R.HIP: "T-D2500 T-15710", _R.THIGH: "T-D9100", _R.FEMUR: "T-12710 T-D078D T-D078C T-12717 T-12711",
    _R.KNEE: "T-D9200 T-15720", _R.PATELLA: "T-12730", _R.LOWER_LEG: "T-D9400",
    _R.TIBIA: "T-12740 T-1274B T-12746 T-1273F", _R.FIBULA: "T-12750", _R.ANKLE: "T-15750",
    _R.FOOT: "T-D9700 T-12780 T-15770 T-12980", _R.CALCANEUS: "T-12770", _R.TOE: "T-D9800", _R.SPINE: "T-D04FF",
    _R.CERVICAL_SPINE: "T-11501", _R.THORACIC_SPINE: "T-11502", _R.LUMBAR_SPINE: "T-11503", _R.SACRUM: "T-11AD0",
    _R.COCCYX: "T-11BF0", _R.CHEST: "T-D3000 T-28000 T-D3300", _R.RIBS: "T-11300", _R.STERNUM: "T-11210",
    _R.BREAST: "T-04000", _R.HEART: "T-32000", _R.ABDOMEN: "T-D4000 T-62000 T-71000",
    _R.PELVIC_ORGANS: "T-92000 T-83000 T-74000 T-59600", _R.HEAD: "T-D1100", _R.SKULL: "T-11100", _R.BRAIN: "T-A0100",
    _R.FACE: "T-11196", _R.JAW: "T-D1213 T-11180 T-11170", _R.TEETH: "T-54010", _R.NECK: "T-D1600",
    _R.WHOLE_BODY: "T-D0010", _R.PHANTOM: "R-FE0C7",
}  # fmt: skip


def _codes() -> dict[str, Region]:
    """Every known code value; SNOMED CT and SNOMED-RT values cannot be taken for one another."""
    found: dict[str, Region] = {facts.code: region for region, facts in REGIONS.items()}
    found[REGIONS[Region.PELVIS].code] = Region.PELVIS  # the organs in it have no code of their own
    for table in (_MORE_CODES, _RETIRED_CODES):
        found |= {code: region for region, codes in table.items() for code in codes.split()}
    return found


REGION_OF_CODE: dict[str, Region] = _codes()
"""SNOMED code value (SCT, or the retired SRT / SNM3 / 99SDM spelling) to region."""


def spans(region: Region) -> frozenset[Region]:
    """The region itself and everything it is part of."""
    found, todo = {region}, [region]
    while todo:
        for whole in REGIONS[todo.pop()].part_of:
            if whole not in found:
                found.add(whole)
                todo.append(whole)
    return frozenset(found)


PAIRED = frozenset(region for region in Region if Region.LIMB in spans(region)) | {
    Region.CLAVICLE,
    Region.SCAPULA,
    Region.SACROILIAC_JOINT,
    Region.BREAST,
    Region.HIP,
}
"""Regions of which a person has a left and a right one."""


def is_within(region: Region, keys: Iterable[str]) -> bool:
    """Whether a list of region keys covers `region`: it names the region or something that the region is part of."""
    return not spans(region).isdisjoint(keys)


def are_related(one: Region, other: Region) -> bool:
    """Whether one is the other or a part of it."""
    return one in spans(other) or other in spans(one)


def most_exact(regions: Iterable[Region]) -> tuple[Region, ...]:
    """Without doubles, and without a region of which a part is named too; order kept."""
    unique = tuple(dict.fromkeys(regions))
    return tuple(region for region in unique if not any(region in spans(other) - {other} for other in unique))


def in_words(regions: Iterable[Region]) -> str:
    """For a sentence: "knee", "lower leg and ankle"."""
    return " and ".join(region.value.replace("_", " ") for region in regions)
