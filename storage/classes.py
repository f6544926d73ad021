"""Which storage classes hold images that can be analysed (PS3.4 B.5), and which are kept only.

A study is (re)opened by images. Segmentations, reports, presentation states, key object notes, encapsulated documents,
raw data and secondary captures are stored like everything else and start nothing.
"""

ANALYSABLE: dict[str, str] = {
    "1.2.840.10008.5.1.4.1.1.1": "Computed Radiography Image Storage",
    "1.2.840.10008.5.1.4.1.1.1.1": "Digital X-Ray Image Storage - For Presentation",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "Digital X-Ray Image Storage - For Processing",  # refused later, with a reason
    "1.2.840.10008.5.1.4.1.1.4": "MR Image Storage",
    "1.2.840.10008.5.1.4.1.1.4.1": "Enhanced MR Image Storage",
    "1.2.840.10008.5.1.4.1.1.4.4": "Legacy Converted Enhanced MR Image Storage",
}


def is_analysable(sop_class_uid: str) -> bool:
    """Whether an instance of this class is an image for analysis."""
    return sop_class_uid in ANALYSABLE


_SEGMENTATIONS = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
        "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation
    }
)
_MAY_ASSESS = _SEGMENTATIONS | frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.88.11",  # Basic Text SR
        "1.2.840.10008.5.1.4.1.1.88.22",  # Enhanced SR
        "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive SR
        "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D SR
        "1.2.840.10008.5.1.4.1.1.88.35",  # Extensible SR
        "1.2.840.10008.5.1.4.1.1.88.59",  # Key Object Selection
    }
)


def may_assess(sop_class_uid: str) -> bool:
    """Whether an instance of this class may say what a person thinks of a result: a report, a note, a segmentation."""
    return sop_class_uid in _MAY_ASSESS


def is_segmentation(sop_class_uid: str) -> bool:
    """Whether an instance of this class holds masks."""
    return sop_class_uid in _SEGMENTATIONS
