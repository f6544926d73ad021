import math

import numpy as np
import pytest

from models.findings import Answer
from models.wff import (
    ABLATION,
    Weights,
    age_pair,
    age_table,
    decade_of,
    fused,
    malignant_share,
    patient_vote,
    sequence_vote,
    without_background,
)

PAPER = Weights()


def _pair(malignant):
    return np.array([1.0 - malignant, malignant])


def _images(detector, sequence, age=0.55, weights=PAPER):
    seen = None if age is None else _pair(age)
    return [fused(_pair(each), _pair(sequence), seen, weights) for each in detector]


def test_equation_1_gives_the_numbers_computed_by_hand():
    assert [pair[1] for pair in _images((0.9, 0.2, 0.6), 0.7)] == pytest.approx([0.775, 0.46, 0.64])
    assert [pair[1] for pair in _images((0.3, 0.4), 0.4)] == pytest.approx([0.37, 0.415])
    assert [pair[1] for pair in _images((0.8,), 0.5)] == pytest.approx([0.64])


def test_the_votes_of_the_example_make_the_patient_malignant_by_two_to_one():
    votes = [
        sequence_vote(_images((0.9, 0.2, 0.6), 0.7)),
        sequence_vote(_images((0.3, 0.4), 0.4)),
        sequence_vote(_images((0.8,), 0.5)),
    ]
    assert [(vote.answer, vote.benign, vote.malignant) for vote in votes] == [
        (Answer.MALIGNANT, 1, 2),
        (Answer.BENIGN, 2, 0),
        (Answer.MALIGNANT, 0, 1),
    ]
    patient = patient_vote(votes)
    assert (patient.answer, patient.benign, patient.malignant) == (Answer.MALIGNANT, 1, 2)
    assert patient.score == pytest.approx(np.mean([np.mean([0.775, 0.46, 0.64]), np.mean([0.37, 0.415]), 0.64]))


def test_weights_that_do_not_sum_to_one_are_decided_by_the_larger_value_and_not_by_one_half():
    pair = fused(_pair(0.9), _pair(0.1), _pair(0.1), ABLATION["Det"])
    assert pair.sum() == pytest.approx(0.45)
    assert pair[1] < 0.5
    assert sequence_vote([pair]).answer is Answer.MALIGNANT
    assert malignant_share(pair) == pytest.approx(0.9)


def test_the_ablation_has_the_six_rows_of_table_3_with_the_weights_the_paper_prints():
    assert list(ABLATION) == ["Det", "Det-Age", "Seq", "Seq-Age", "Det-Seq", "Det-Seq-Age"]
    assert ABLATION["Det-Seq-Age"] == Weights(0.45, 0.45, 0.1) == PAPER
    assert ABLATION["Det-Age"] == Weights(0.45, 0.0, 0.1)
    assert ABLATION["Det"] == Weights(0.45, 0.0, 0.0)


def test_the_rates_of_table_3_are_those_of_its_counts():
    rows = {
        "Det": (0.721, 0.500, 0.844),
        "Det-Age": (0.736, 0.500, 0.867),
        "Seq": (0.693, 0.660, 0.711),
        "Seq-Age": (0.693, 0.660, 0.711),
        "Det-Seq": (0.800, 0.740, 0.833),
        "Det-Seq-Age": (0.821, 0.720, 0.878),
    }
    for accuracy, sensitivity, specificity in rows.values():
        assert (50 * sensitivity + 90 * specificity) / 140 == pytest.approx(accuracy, abs=1.01e-3)


def test_a_missing_age_leaves_its_weight_to_the_others():
    with_age, without = fused(_pair(0.8), _pair(0.6), _pair(0.7), PAPER), fused(_pair(0.8), _pair(0.6), None, PAPER)
    assert with_age.sum() == pytest.approx(1.0)
    assert without.sum() == pytest.approx(1.0)
    assert without[1] == pytest.approx(0.7)


def test_even_votes_go_to_the_higher_mean_probability():
    assert sequence_vote([_pair(0.9), _pair(0.4)]).answer is Answer.MALIGNANT
    assert sequence_vote([_pair(0.6), _pair(0.1)]).answer is Answer.BENIGN


def test_even_votes_with_even_probabilities_are_malignant():
    assert sequence_vote([_pair(0.75), _pair(0.25)]).answer is Answer.MALIGNANT
    pairs = [sequence_vote([_pair(0.75)]), sequence_vote([_pair(0.25)])]
    assert patient_vote(pairs).answer is Answer.MALIGNANT
    assert sequence_vote([_pair(0.5)]).answer is Answer.MALIGNANT


def test_two_sequences_against_two_go_to_the_higher_mean():
    votes = [sequence_vote([_pair(p)]) for p in (0.9, 0.8, 0.45, 0.4)]
    assert patient_vote(votes).answer is Answer.MALIGNANT
    votes = [sequence_vote([_pair(p)]) for p in (0.55, 0.6, 0.1, 0.2)]
    assert patient_vote(votes).answer is Answer.BENIGN


def test_what_has_no_box_has_no_vote_and_a_patient_without_any_has_no_answer():
    assert sequence_vote([]) is None
    assert patient_vote([None, sequence_vote([_pair(0.2)]), None]).answer is Answer.BENIGN
    assert patient_vote([None, None]) is None
    assert patient_vote([]) is None


def test_the_detectors_background_is_left_out_of_its_vote():
    assert without_background(np.array([0.6, 0.1, 0.3])) == pytest.approx([0.25, 0.75])
    assert without_background(np.zeros(3)) == pytest.approx([0.5, 0.5])


def test_the_age_table_counts_decades_with_one_patient_of_each_kind_added():
    table = age_table([41, 44, 49, 45.5, 83], [True, True, True, False, True])
    assert table[4] == pytest.approx(4 / 6)
    assert table[8] == pytest.approx(2 / 3)
    assert table[0] == pytest.approx(0.5), "a decade without patients says nothing"
    assert len(table) == 10


@pytest.mark.parametrize(("age", "decade"), [(0, 0), (9.9, 0), (10, 1), (40, 4), (89.99, 8), (90, 9), (121, 9)])
def test_a_decade_begins_with_its_zero_and_the_last_has_no_end(age, decade):
    assert decade_of(age) == decade


@pytest.mark.parametrize("age", [-1, math.nan])
def test_an_age_that_is_none_is_refused(age):
    with pytest.raises(ValueError, match="years"):
        decade_of(age)


def test_an_unknown_age_has_no_term():
    table = age_table([], [])
    assert age_pair(None, table) is None
    assert age_pair(35, table) == pytest.approx([0.5, 0.5])


def test_the_patients_of_the_paper_add_up():
    assert 180 + 265 == 445
    assert 90 + 50 == 140
    assert 445 + 140 == 585 == 270 + 315
    assert 1625 + 525 == 2150
    assert 5177 + 10601 == 15778
    assert 2576 + 2239 == 4815
