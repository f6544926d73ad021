"""Cover, overview, introduction and implementation model of the statement (PS3.2 N.1 to N.4)."""

from node.conformance.markdown import bullets, table
from node.conformance.sample import classes_made
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, MANUFACTURER, MODEL_NAME, VERSION

_ABBREVIATIONS = (
    ("AE", "Application Entity"),
    ("AIR, AIRA", "IHE AI Results, AI Results Assessment"),
    ("GSPS", "Grayscale Softcopy Presentation State"),
    ("KOS", "Key Object Selection"),
    ("SC", "Secondary Capture"),
    ("SCU, SCP", "Service Class User, Service Class Provider"),
    ("SEG", "Segmentation"),
    ("SR, TID", "Structured Report, and its templates in PS3.16"),
)
_MODEL = """```
 PACS ──C-STORE──▶ NODE_SCP ──▶ settle ──▶ route ──▶ analyse ──▶ outbox ──▶ NODE_SCU ──C-STORE or STOW-RS──▶ PACS
                      ▲            │                                           │
                      │            └──── NODE_QR ──C-FIND──▶ PACS              └──N-ACTION──▶ PACS
                      └───────────────────────────────── N-EVENT-REPORT ──────────────────────┘
```"""


def parts() -> tuple[str, ...]:
    """The first chapters."""
    return (
        f"# DICOM Conformance Statement: {MODEL_NAME}",
        "Printed by `osteon conformance` from the tables by which the node works; do not edit it. Not for clinical "
        "use: every result is marked as research, unverified and preliminary.",
        table(
            ("", ""),
            (
                ("Product", f"{MODEL_NAME} {VERSION}"),
                ("Manufacturer", MANUFACTURER),
                ("Implementation Class UID", IMPLEMENTATION_CLASS_UID),
                ("Implementation Version Name", IMPLEMENTATION_VERSION_NAME),
                ("Edition of DICOM", "2024; what later editions added is not claimed"),
            ),
        ),
        "## 1 Overview",
        "The node receives radiographs and MR studies from a PACS, decides which of its models applies, and returns "
        "segmentations, reports and pictures of them to the PACS. It displays nothing, prints nothing, writes no "
        "media, and changes no image.",
        _services(),
        "## 2 Introduction",
        "For administrators and integrators of a PACS. The names of PS3 are used without explanation. That two "
        "products conform does not make them work together: try it (`osteon peers echo`, `osteon explain`).",
        table(("short", "long"), _ABBREVIATIONS),
        "## 3 Implementation model",
        _MODEL,
        bullets(
            (
                "**NODE_SCP** listens, and stores every object durably before it answers with success.",
                "**NODE_QR** asks the sender, where it may be asked, how many images a study has.",
                "**NODE_SCU** sends results and asks for proof that they are kept.",
            )
        ),
        "All three use one AE title (`node.ae_title`). Real-world activities, in order: images arrive; the study "
        "settles, by the count of the PACS, by quiet or by a cap; a model answers or none applies; results are encoded "
        "once and sent, what others refer to first and the report last; the peer confirms. The same bytes go on every "
        "attempt. A late image opens the study again; a new answer gets new UIDs, and its report names the old one.",
    )


def _services() -> str:
    stored = ", ".join(name for name, _ in classes_made())
    return table(
        ("service", "SCU", "SCP", "remarks"),
        (
            ("Verification", "yes", "yes", "`osteon peers echo`"),
            ("Storage", "yes", "yes", f"SCP: section 4.1.1. SCU: {stored}"),
            ("Storage Commitment Push Model", "yes", "no", "per peer (`--confirm`)"),
            ("Query: Study Root, FIND", "yes", "no", "per peer (`--may-find`)"),
            ("Retrieve: MOVE, GET", "no", "no", "no prior is fetched"),
            ("Modality Worklist, MPPS, UPS, Instance Availability", "no", "no", ""),
            ("Print, Media Storage", "no", "no", ""),
            ("STOW-RS", "yes (user agent)", "no (origin server)", "per peer (`--transport stow`)"),
            ("QIDO-RS", "yes (user agent)", "no (origin server)", "of a STOW-RS peer, to prove that it has a result"),
            ("WADO-RS", "no", "no", ""),
        ),
    )
