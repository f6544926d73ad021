"""Questions to a PACS by C-FIND (PS3.4 C)."""

from pydicom.dataset import Dataset

from node.dimse.client import Association

IMAGE_MODALITIES = frozenset({"CR", "DX", "RG", "MR"})
"""Of series that a model may look at; reports, dose reports and our own results are no reason to wait."""


def matching_studies(association: Association, study_instance_uid: str) -> list[Dataset]:
    """What the PACS says of the study at STUDY level, *PatientID* and *IssuerOfPatientID* (type O) among it.

    Study Root, for there the patient is an attribute of the study (PS3.4 C.6.2.1.2).
    """
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = study_instance_uid
    identifier.PatientID = None
    identifier.IssuerOfPatientID = None
    found = association.find(identifier)
    return [each for each in found if each.get("StudyInstanceUID", study_instance_uid) == study_instance_uid]


def images_in_study(association: Association, study_instance_uid: str) -> int | None:
    """How many radiographs and MR images the PACS says the study has, or None when it does not say.

    Asks for the series and their *NumberOfSeriesRelatedInstances* (0020,1209), which a PACS may leave out
    (PS3.4 C.6.2.1.3, type O).
    """
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "SERIES"
    identifier.StudyInstanceUID = study_instance_uid
    identifier.SeriesInstanceUID = None
    identifier.Modality = None
    identifier.NumberOfSeriesRelatedInstances = None
    total, is_known = 0, False
    for match in association.find(identifier):
        if match.get("StudyInstanceUID", study_instance_uid) != study_instance_uid:
            continue
        if match.get("Modality") not in IMAGE_MODALITIES:
            continue
        try:
            total += int(str(match.get("NumberOfSeriesRelatedInstances")))
        except ValueError:
            return None
        is_known = True
    return total if is_known else None


def held_instances(association: Association, study_instance_uid: str, series_instance_uid: str) -> frozenset[str]:
    """The SOP Instance UIDs that the PACS lists of a series; none of a series that it does not know.

    Asked at the level IMAGE with the unique keys of the levels above (PS3.4 C.4.1.2.2.1), for all of the series: not
    every PACS takes a list of UIDs.
    """
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID = study_instance_uid
    identifier.SeriesInstanceUID = series_instance_uid
    identifier.SOPInstanceUID = None
    return frozenset(str(match.get("SOPInstanceUID") or "") for match in association.find(identifier))


def counted_in_series(association: Association, study_instance_uid: str, series_instance_uid: str) -> int:
    """How many instances the PACS says a series has: 0 of one that it does not list, 1 of one that it does not count.

    For a PACS that does not answer at the level IMAGE; at SERIES it says *Number of Series Related Instances*
    (0020,1209), which it may leave out (PS3.4 C.6.2.1.3, type O), but a series without an instance is none.
    """
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "SERIES"
    identifier.StudyInstanceUID = study_instance_uid
    identifier.SeriesInstanceUID = series_instance_uid
    identifier.NumberOfSeriesRelatedInstances = None
    for match in association.find(identifier):
        if match.get("SeriesInstanceUID") == series_instance_uid:
            stated = str(match.get("NumberOfSeriesRelatedInstances") or "").strip()
            return int(stated) if stated.isdecimal() else 1
    return 0


def lists_series(association: Association, study_instance_uid: str) -> bool:
    """Whether the PACS lists any series of the study."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "SERIES"
    identifier.StudyInstanceUID = study_instance_uid
    identifier.SeriesInstanceUID = None
    return any(match.get("SeriesInstanceUID") for match in association.find(identifier))
