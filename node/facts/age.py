"""How old a patient was when a study was made. Pure; says nothing of who the patient is."""

import re
from datetime import date

from pydicom.dataset import Dataset

from node.facts.values import Notes, Reader

OLDEST = 120.0
"""Years; a date of birth further back stands for one that was taken out."""
_PER_YEAR = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
_CLOSE_YEARS = 2.0


def age_of(ds: Dataset) -> tuple[float | None, str]:
    """Years, None where the header does not say, and a sentence where it contradicts itself ("" where it does not).

    *Patient's Age* (0010,1010) comes before the dates of birth and of the study: it is of the day of the study, and
    dates are what is changed when names are taken out. "000Y" is written by those who take the age out, too: an infant
    has days, weeks or months.
    """
    reader = Reader(ds, Notes())
    stated, counted = _stated(reader.text("PatientAge")), _counted(reader)
    if stated is None:
        return counted, ""
    if counted is not None and abs(stated - counted) > _CLOSE_YEARS:
        return stated, "PatientAge and PatientBirthDate differ by more than two years; PatientAge is used."
    return stated, ""


def _stated(text: str) -> float | None:
    match = re.fullmatch(r"(\d{1,3})([DWMY])", text.strip().upper())
    if match is None or match[0] in ("000Y", "00Y", "0Y"):
        return None
    years = int(match[1]) / _PER_YEAR[match[2]]
    return years if years <= OLDEST else None


def _counted(reader: Reader) -> float | None:
    born, made = _day(reader.text("PatientBirthDate")), _day(reader.text("StudyDate"))
    if born is None or made is None:
        return None
    years = (made - born).days / _PER_YEAR["D"]
    return years if 0.0 <= years <= OLDEST else None


def _day(text: str) -> date | None:
    """A date (VR DA, also in its old form with dots)."""
    match = re.fullmatch(r"(\d{4})\.?(\d{2})\.?(\d{2})", text.strip())
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None
