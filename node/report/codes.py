"""Every coded concept that a result uses, with where it comes from.

SCT: SNOMED CT as used in DICOM; DCM: PS3.16 Annex D; UCUM: units; LN: LOINC. Where no standard code says what we mean,
a code of our own scheme 99OSTEON does, and every object that uses one declares the scheme.
"""

from typing import NamedTuple

from pydicom.sr.coding import Code

from models.findings import Answer, MeasurementKind, Unit

PRIVATE_SCHEME = "99OSTEON"
PRIVATE_SCHEME_NAME = "Osteon result concepts"

# What was found: CID 7150, 7151, 7159
ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
NEOPLASM = Code("108369006", "SCT", "Neoplasm")
LESION = Code("52988006", "SCT", "Lesion")
TISSUE = Code("85756007", "SCT", "Tissue")  # CID 7150

# The answer. "Assignment of intermediate or overall interpretation results to a general category" (PS3.16 Annex D)
ASSESSMENT = Code("111005", "DCM", "Assessment Category")
ANSWERS: dict[Answer, Code] = {
    Answer.NORMAL: Code("17621005", "SCT", "Normal"),  # CID 222, 242
    Answer.BENIGN: Code("30807003", "SCT", "Benign"),  # CID 6063
    Answer.MALIGNANT: Code("21594007", "SCT", "Malignant"),  # CID 6063
    Answer.TUMOUR: Code("108369006", "SCT", "Neoplasm"),  # CID 7151
    Answer.UNDECIDED: Code("280416009", "SCT", "Indeterminate result"),  # CID 6063
    Answer.NOT_ASSESSED: Code("373121007", "SCT", "Not Evaluated"),  # CID 3703
}

# Probabilities: CID 6048 has two, and none that tells benign from normal
PROBABILITY_OF_CANCER = Code("111047", "DCM", "Probability of cancer")
CERTAINTY_OF_FINDING = Code("111012", "DCM", "Certainty of Finding")
PROBABILITIES: dict[Answer, Code] = {
    Answer.MALIGNANT: PROBABILITY_OF_CANCER,
    Answer.BENIGN: Code("P-BENIGN", PRIVATE_SCHEME, "Probability of a benign tumour"),
    Answer.NORMAL: Code("P-NORMAL", PRIVATE_SCHEME, "Probability of no tumour"),
    Answer.UNDECIDED: Code("P-UNDECIDED", PRIVATE_SCHEME, "Probability of a tumour left undecided"),
}


class TermCodes(NamedTuple):
    """A voice of a weighted sum: what it said, and how much that counted."""

    probability: Code
    weight: Code


TERMS: dict[str, TermCodes] = {  # by models.findings.Term.name; no standard code says any of it
    "detector": TermCodes(
        Code("T-DETECTOR", PRIVATE_SCHEME, "Malignant by the detector of boxes"),
        Code("W-DETECTOR", PRIVATE_SCHEME, "Weight of the detector of boxes"),
    ),
    "sequence": TermCodes(
        Code("T-SEQUENCE", PRIVATE_SCHEME, "Malignant by the classifier of images"),
        Code("W-SEQUENCE", PRIVATE_SCHEME, "Weight of the classifier of images"),
    ),
    "age": TermCodes(
        Code("T-AGE", PRIVATE_SCHEME, "Malignant by the age of the patient"),
        Code("W-AGE", PRIVATE_SCHEME, "Weight of the age of the patient"),
    ),
}


class KindCodes(NamedTuple):
    """A kind of tumour: what it is, and that it is likely."""

    kind: Code
    probability: Code


KIND = Code("KIND", PRIVATE_SCHEME, "Kind of tumour that it resembles")
KINDS: dict[str, KindCodes] = {  # by the classes of a card; SCT where DICOM's own part of it has the kind
    "ganglion": KindCodes(
        Code("K-GANGLION", PRIVATE_SCHEME, "Ganglion"),
        Code("P-GANGLION", PRIVATE_SCHEME, "Probability of a ganglion, of five kinds"),
    ),
    "giant-cell": KindCodes(
        Code("K-GCTTS", PRIVATE_SCHEME, "Giant cell tumour of the tendon sheath"),
        Code("P-GCTTS", PRIVATE_SCHEME, "Probability of a giant cell tumour, of five kinds"),
    ),
    "lipoma": KindCodes(
        Code("134328007", "SCT", "Lipoma"),  # CID 6030
        Code("P-LIPOMA", PRIVATE_SCHEME, "Probability of a lipoma, of five kinds"),
    ),
    "haemangioma": KindCodes(
        Code("400210000", "SCT", "Hemangioma"),  # CID 6030
        Code("P-HAEMANGIOMA", PRIVATE_SCHEME, "Probability of a haemangioma, of five kinds"),
    ),
    "schwannoma": KindCodes(
        Code("K-SCHWANNOMA", PRIVATE_SCHEME, "Schwannoma"),
        Code("P-SCHWANNOMA", PRIVATE_SCHEME, "Probability of a schwannoma, of five kinds"),
    ),
}

# Sizes: CID 7469
MEASUREMENTS: dict[MeasurementKind, Code] = {
    MeasurementKind.AREA: Code("42798000", "SCT", "Area"),
    MeasurementKind.DIAMETER: Code("81827009", "SCT", "Diameter"),
    MeasurementKind.LONG_AXIS: Code("103339001", "SCT", "Long axis"),
    MeasurementKind.SHORT_AXIS: Code("103340004", "SCT", "Short axis"),
    MeasurementKind.VOLUME: Code("118565006", "SCT", "Volume"),
    MeasurementKind.MEAN_ADC: Code("113041", "DCM", "Apparent Diffusion Coefficient"),
}
MEAN = Code("373098007", "SCT", "Mean")  # CID 7464, as Derivation

# How near a tumour the pixels of a lesion lie: by models.findings.DISTANCE_LEVELS; no standard code says it
LEVELS: dict[str, Code] = {
    "tumour": Code("D-TUMOUR", PRIVATE_SCHEME, "Share of the region in distance level 1, tumour"),
    "near": Code("D-NEAR", PRIVATE_SCHEME, "Share of the region in distance level 2, near"),
    "middle": Code("D-MIDDLE", PRIVATE_SCHEME, "Share of the region in distance level 3, middle"),
    "far": Code("D-FAR", PRIVATE_SCHEME, "Share of the region in distance level 4, far"),
    "background": Code("D-BACKGROUND", PRIVATE_SCHEME, "Share of the region in distance level 0, background"),
}

UNITS: dict[Unit, Code] = {
    Unit.MM: Code("mm", "UCUM", "mm"),
    Unit.MM2: Code("mm2", "UCUM", "square millimeter"),
    Unit.CM3: Code("cm3", "UCUM", "cubic centimeter"),
    Unit.PIXELS: Code("{pixels}", "UCUM", "pixels"),
    Unit.ADC: Code("10-6.mm2/s", "UCUM", "10-6.mm2/s"),
}
PROBABILITY_OF_CLASS = Code("110854", "DCM", "Fractional Probabilistic Segmentation")  # CID 7180
QUANTITY = Code("246205007", "SCT", "Quantity")  # PS3.3 C.7.6.16.2.11, Quantity Definition
DERIVED_FROM = Code("121322", "DCM", "Source image for image processing operation")  # CID 7202
PERCENT = Code("%", "UCUM", "Percent")
SECOND = Code("s", "UCUM", "second")
NO_UNIT = Code("1", "UCUM", "no units")

# Who and how
ACQUISITION = Code("109101", "DCM", "Acquisition Equipment")  # CID 7005
DEVICE = Code("121007", "DCM", "Device")  # CID 270
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")  # CID 7162
COMMENT = Code("121106", "DCM", "Comment")
SOURCE_OF_MEASUREMENT = Code("121112", "DCM", "Source of Measurement")  # CID 7551
PLACE_OF_TEXT = Code("MARK", PRIVATE_SCHEME, "Place beside which to display the value")

REPORT_TITLE = Code("126000", "DCM", "Imaging Measurement Report")  # CID 7021

# Titles of key object selections (CID 7010) and what is in them (TID 2010)
OF_INTEREST = Code("113000", "DCM", "Of Interest")
REJECTED_FOR_QUALITY = Code("113001", "DCM", "Rejected for Quality Reasons")
REJECTED_FOR_PATIENT_SAFETY = Code("113037", "DCM", "Rejected for Patient Safety Reasons")
KEY_OBJECT_DESCRIPTION = Code("113012", "DCM", "Key Object Description")
SOURCE = Code("260753009", "SCT", "Source")

# What was read, and how the run came about
IMAGE_LIBRARY = Code("111028", "DCM", "Image Library")  # TID 1600
IMAGE_LIBRARY_GROUP = Code("126200", "DCM", "Image Library Group")
MODALITY = Code("121139", "DCM", "Modality")
MODALITIES: dict[str, Code] = {  # CID 29
    "CR": Code("CR", "DCM", "Computed Radiography"),
    "DX": Code("DX", "DCM", "Digital Radiography"),
    "MR": Code("MR", "DCM", "Magnetic Resonance"),
}
USED = Code("USED", PRIVATE_SCHEME, "Used for the analysis")
LEFT_OUT = Code("LEFT-OUT", PRIVATE_SCHEME, "Left out of the analysis")
WAIT = Code("WAIT", PRIVATE_SCHEME, "Time from the last image to the analysis")

# Procedure reported: CID 100
X_RAY_PROCEDURE = Code("43468-8", "LN", "XR unspecified body region")
MR_PROCEDURE = Code("25056-3", "LN", "MRI unspecified body region")

LATERALITIES: dict[str, Code] = {  # CID 244
    "R": Code("24028007", "SCT", "Right"),
    "L": Code("7771000", "SCT", "Left"),
    "B": Code("51440002", "SCT", "Bilateral"),
}

BODY_PARTS: dict[str, Code] = {  # defined terms of PS3.16 Annex L, codes of CID 4031
    "ANKLE": Code("70258002", "SCT", "Ankle joint"),
    "ARM": Code("40983000", "SCT", "Upper arm"),
    "CALCANEUS": Code("80144004", "SCT", "Calcaneus"),
    "CLAVICLE": Code("51299004", "SCT", "Clavicle"),
    "COCCYX": Code("64688005", "SCT", "Coccyx"),
    "CSPINE": Code("122494005", "SCT", "Cervical spine"),
    "CTSPINE": Code("1217257000", "SCT", "Cervico-thoracic spine"),
    "ELBOW": Code("16953009", "SCT", "Elbow joint"),
    "EXTREMITY": Code("66019005", "SCT", "Extremity"),
    "FEMUR": Code("71341001", "SCT", "Femur"),
    "FIBULA": Code("87342007", "SCT", "Fibula"),
    "FINGER": Code("7569003", "SCT", "Finger"),
    "FOOT": Code("56459004", "SCT", "Foot"),
    "FOREARM": Code("14975008", "SCT", "Forearm"),
    "HAND": Code("85562004", "SCT", "Hand"),
    "HIP": Code("29836001", "SCT", "Hip"),
    "HUMERUS": Code("85050009", "SCT", "Humerus"),
    "KNEE": Code("72696002", "SCT", "Knee"),
    "LEG": Code("30021000", "SCT", "Lower leg"),
    "LSPINE": Code("122496007", "SCT", "Lumbar spine"),
    "LSSPINE": Code("1217253001", "SCT", "Lumbo-sacral spine"),
    "PATELLA": Code("64234005", "SCT", "Patella"),
    "PELVIS": Code("816092008", "SCT", "Pelvis"),
    "RADIUS": Code("62413002", "SCT", "Radius"),
    "SCAPULA": Code("79601000", "SCT", "Scapula"),
    "SHOULDER": Code("16982005", "SCT", "Shoulder"),
    "SIJOINT": Code("39723000", "SCT", "Sacroiliac joint"),
    "SPINE": Code("421060004", "SCT", "Spine"),
    "SSPINE": Code("54735007", "SCT", "Sacrum"),
    "THIGH": Code("68367000", "SCT", "Thigh"),
    "THUMB": Code("76505004", "SCT", "Thumb"),
    "TIBIA": Code("12611008", "SCT", "Tibia"),
    "TLSPINE": Code("1217256009", "SCT", "Thoraco-lumbar spine"),
    "TOE": Code("29707007", "SCT", "Toe"),
    "TSPINE": Code("122495006", "SCT", "Thoracic spine"),
    "ULNA": Code("23416004", "SCT", "Ulna"),
    "WRIST": Code("74670003", "SCT", "Wrist joint"),
}

UNPAIRED = frozenset(
    {"ABDOMEN", "ABDOMENPELVIS", "BLADDER", "BRAIN", "CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "COCCYX", "CSPINE"}
    | {"CTSPINE", "FACE", "HEAD", "HEADNECK", "HEART", "JAW", "LSPINE", "LSSPINE", "NECK", "NECKCHEST", "PELVIS"}
    | {"SKULL", "SPINE", "SSPINE", "STERNUM", "TLSPINE", "TSPINE", "UTERUS", "WHOLEBODY"}
)
"""Parts that have no side: their objects carry no *Laterality* (0020,0060), not even an empty one (PS3.3 C.7.3.1)."""

PAIRED = frozenset(BODY_PARTS) - UNPAIRED

SYSTEM_BODY_PARTS = {
    "knee-seg-unet": "EXTREMITY",
    "limb-unet": "EXTREMITY",
    "spine-wff": "SPINE",
    "hand-deep-ht": "HAND",
}
"""By system: the region that holds for every image it takes, for when neither route nor header name a part."""


def finding_of(answer: Answer) -> Code:
    """Neoplasm where the model calls a region a tumour of any kind, else the weaker Lesion."""
    return NEOPLASM if answer in (Answer.BENIGN, Answer.MALIGNANT, Answer.TUMOUR) else LESION
