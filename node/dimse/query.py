"""Questions to a PACS by C-FIND (PS3.4 C)."""

from pydicom.dataset import Dataset

from node.dimse.client import Association


def count_in_study(association: Association, study_instance_uid: str) -> int | None:
    """How many instances the PACS says the study has, or None when it does not say.

    Asks for *NumberOfStudyRelatedInstances* (0020,1208), which a PACS may leave out (PS3.4 C.6.2.1.2, type O).
    """
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = study_instance_uid
    identifier.NumberOfStudyRelatedInstances = None
    for match in association.find(identifier):
        if match.get("StudyInstanceUID") == study_instance_uid:
            try:
                return int(str(match.get("NumberOfStudyRelatedInstances")))
            except ValueError:
                return None
    return None
