"""The coded concepts: standard ones as the standard has them, own ones well formed."""

import pytest
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.coding import Code

from models.findings import Answer, MeasurementKind, Unit
from node.report import codes


def _all() -> list[Code]:
    found = []
    for value in vars(codes).values():
        found += [value] if isinstance(value, Code) else []
        inside = value.values() if isinstance(value, dict) else ()
        found += [each for each in inside if isinstance(each, Code)]
        found += [code for each in inside if isinstance(each, codes.TermCodes) for code in each]
    return found


STANDARD = [code for code in _all() if code.scheme_designator != codes.PRIVATE_SCHEME and code.value != "{pixels}"]
OWN = [code for code in _all() if code.scheme_designator == codes.PRIVATE_SCHEME]


@pytest.mark.parametrize("code", STANDARD, ids=lambda code: code.meaning)
def test_a_standard_code_has_the_value_and_meaning_of_the_standard(code: Code) -> None:
    meanings = [each[code.value][0] for each in concepts[code.scheme_designator].values() if code.value in each]
    assert code.meaning in {
        each.removesuffix(" (attribute)") for each in meanings
    }  # SNOMED's full name; PS3.3 has none


@pytest.mark.parametrize("code", OWN, ids=lambda code: code.meaning)
def test_an_own_code_fits_its_attributes(code: Code) -> None:
    assert len(code.value) <= 16
    assert len(code.meaning) <= 64
    assert code.scheme_designator.startswith("99")
    assert len(code.scheme_designator) <= 16


def test_every_answer_kind_and_unit_is_coded() -> None:
    assert set(codes.ANSWERS) == set(Answer)
    assert set(codes.MEASUREMENTS) == set(MeasurementKind)
    assert set(codes.UNITS) == set(Unit)


def test_no_two_answers_share_a_code() -> None:
    assert len({code.value for code in codes.ANSWERS.values()}) == len(Answer)


def test_every_part_either_has_sides_or_has_none() -> None:
    assert not codes.PAIRED & codes.UNPAIRED
    assert set(codes.BODY_PARTS) <= codes.PAIRED | codes.UNPAIRED


def test_the_region_of_a_system_is_a_coded_part() -> None:
    assert set(codes.SYSTEM_BODY_PARTS.values()) <= set(codes.BODY_PARTS)
