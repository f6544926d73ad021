"""The headers of real scanners and archives, with their holes: what a result takes over, and that it comes at all.

One image stands for its whole series here: what is looked at is patient and study, not the picture.
"""

import warnings
from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset

from node.report.kind import Kind
from node.report.profile import Profile
from tests.node.report.made_cases import Case, read
from tests.node.report.raw_bytes import raw
from tests.node.report.test_report_real_files import XRAY, found_in, found_on, opened
from tests.node.report.test_report_validators import judged

IDENTITY = ("PatientName", "PatientID", "IssuerOfPatientID", "StudyInstanceUID")
STUDY = ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime")
MR = {
    "GE": "mr-dwi/ge-750-b0-b1000/IM-0001-0001-0001.dcm",
    "Philips Achieva": "mr-dwi/philips-achieva-b0-b1000-classic-private/IM_0681.dcm",
    "Philips Ingenia": "mr-dwi/philips-ingenia-b0-b1000-private-un/IM-0001-0033-0001.dcm",
    "Siemens Skyra": "mr-dwi/siemens-skyra-b0-b1000/001.dcm",
    "a public collection": "sts-mr/dicom/STS_032/image/000020.dcm",
}
SEXES = (b"M", b"F", b"O")
OURS = Profile(kinds=frozenset({Kind.SEG, Kind.SR}))


def of_radiograph(name: str) -> tuple[Dataset, Case]:
    ds = opened(name)
    return ds, found_on(ds).asking(profile=OURS)


def of_series(name: str) -> tuple[Dataset, Case]:
    ds = opened(name)
    return ds, found_in([ds], spare=0).asking(profile=OURS)


CASES: list[tuple[Callable[[str], tuple[Dataset, Case]], str]] = [
    *((of_radiograph, name) for name in XRAY.values()),
    *((of_series, name) for name in MR.values()),
]


@pytest.mark.checklist(5, 6, 7, 31)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("make", "name"), CASES, ids=[*XRAY, *MR])
def test_patient_and_study_of_a_real_header_are_taken_over_and_its_holes_stop_nothing(
    make: Callable[[str], tuple[Dataset, Case]], name: str
) -> None:
    ds, case = make(name)
    results = case.made()
    assert results[-1].kind is Kind.SR
    for each in results:
        result = read(each)
        for keyword in (*IDENTITY, "SpecificCharacterSet", "TimezoneOffsetFromUTC"):
            assert (raw(result, keyword) or b"") == (raw(ds, keyword) or b""), keyword
        for keyword in STUDY:
            stated = raw(ds, keyword) or b""
            told = stated[:16] if keyword == "StudyID" else stated  # SH
            assert raw(result, keyword) == (b"" if keyword == "PatientSex" and stated not in SEXES else told), keyword


@pytest.mark.checklist(31)
@pytest.mark.parametrize("name", MR.values(), ids=MR)
def test_results_of_a_real_header_with_holes_are_valid(name: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, case = of_series(name)
        results = case.made()
    assert judged(results, tmp_path) == {}
