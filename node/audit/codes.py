"""As which DICOM event each action of the audit trail is told (PS3.15 A.5.3, codes of PS3.16 CID 400 to 403)."""

from dataclasses import dataclass

from storage.audit import Action


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value of the schema (PS3.15 A.5.1): csd-code, codeSystemName, originalText."""

    value: str
    meaning: str
    scheme: str = "DCM"


@dataclass(frozen=True, slots=True)
class Told:
    """EventID, EventTypeCode and EventActionCode."""

    event: Code
    kind: Code | None
    action: str


ACTIVITY = Code("110100", "Application Activity")
ACCESSED = Code("110103", "DICOM Instances Accessed")
TRANSFERRED = Code("110104", "DICOM Instances Transferred")
STUDY_DELETED = Code("110105", "DICOM Study Deleted")
ALERT = Code("110113", "Security Alert")
AUTHENTICATION = Code("110114", "User Authentication")

START = Code("110120", "Application Start")
STOP = Code("110121", "Application Stop")
LOGIN = Code("110122", "Login")
NODE_AUTHENTICATION = Code("110126", "Node Authentication")
NETWORK = Code("110128", "Network Configuration")
SECURITY = Code("110129", "Security Configuration")
HARDWARE = Code("110130", "Hardware Configuration")
SOFTWARE = Code("110131", "Software Configuration")
RESTRICTED = Code("110132", "Use of Restricted Function")
USER_ATTRIBUTES = Code("110137", "User Security Attributes Changed")

APPLICATION = Code("110150", "Application")
DESTINATION = Code("110152", "Destination Role ID")
SOURCE = Code("110153", "Source Role ID")

STUDY_UID = Code("110180", "Study Instance UID")
ROW = Code("row", "Row of the audit trail", "99OSTEON")

EVENTS = {
    Action.STARTED: Told(ACTIVITY, START, "E"),
    Action.STOPPED: Told(ACTIVITY, STOP, "E"),
    Action.RECOVERED: Told(ACTIVITY, STOP, "E"),
    Action.CONFIGURED: Told(ALERT, SOFTWARE, "E"),
    Action.SETTING_CHANGED: Told(ALERT, SOFTWARE, "E"),
    Action.ASSOCIATION_ACCEPTED: Told(AUTHENTICATION, LOGIN, "E"),
    Action.ASSOCIATION_REJECTED: Told(ALERT, NODE_AUTHENTICATION, "E"),
    Action.USER_ACCEPTED: Told(AUTHENTICATION, LOGIN, "E"),
    Action.USER_REFUSED: Told(AUTHENTICATION, LOGIN, "E"),
    Action.STUDY_RECEIVED: Told(TRANSFERRED, None, "C"),
    Action.STUDY_PROCESSED: Told(ACCESSED, None, "R"),
    Action.STUDY_CRASHED: Told(ACCESSED, None, "R"),
    Action.RESULTS_SENT: Told(TRANSFERRED, None, "C"),
    Action.RESULTS_WITHDRAWN: Told(ACCESSED, None, "U"),
    Action.PEER_ADDED: Told(ALERT, NETWORK, "E"),
    Action.PEER_CHANGED: Told(ALERT, NETWORK, "E"),
    Action.PEER_REMOVED: Told(ALERT, NETWORK, "E"),
    Action.STUDY_DELETED: Told(STUDY_DELETED, None, "D"),
    Action.STUDY_RETRIED: Told(ALERT, RESTRICTED, "E"),
    Action.RESULTS_RESENT: Told(ALERT, RESTRICTED, "E"),
    Action.QUARANTINE_RELEASED: Told(ALERT, RESTRICTED, "E"),
    Action.PASSCODE_MADE: Told(ALERT, USER_ATTRIBUTES, "E"),
    Action.EXPORTED: Told(ALERT, RESTRICTED, "E"),
    Action.BACKED_UP: Told(ALERT, RESTRICTED, "E"),
    Action.RESTORED: Told(ALERT, RESTRICTED, "E"),
    Action.REBUILT: Told(ALERT, RESTRICTED, "E"),
    Action.MODEL_LOADED: Told(ALERT, SOFTWARE, "E"),
    Action.MODEL_REFUSED: Told(ALERT, SOFTWARE, "E"),
    Action.DISK_WATERMARK: Told(ALERT, HARDWARE, "E"),
    Action.CLOCK_JUMPED: Told(ALERT, SECURITY, "E"),
}
"""A test holds that every action is here."""

OTHER = Told(ALERT, SOFTWARE, "E")
"""For rows that another version of the program wrote."""
