"""What is answered: a silent normal is never possible where anything speaks against it."""

import numpy as np
import pytest

from models import verdict
from models.findings import Answer

N, B, M, U, X = Answer.NORMAL, Answer.BENIGN, Answer.MALIGNANT, Answer.UNDECIDED, Answer.NOT_ASSESSED


CERTAIN = (0.45, 0.4)
"""A tumour may be benign from a share of 0.45 on, and malignant from 0.4 on."""


@pytest.mark.parametrize(
    ("probabilities", "regions", "answer", "words"),
    [
        ((0.9, 0.06, 0.04), 0, N, None),
        ((0.1, 0.6, 0.3), 1, B, None),
        ((0.1, 0.3, 0.6), 2, M, None),
        ((0.2, 0.3, 0.5), 1, M, None),
        ((0.2, 0.38, 0.42), 1, U, "80%.*38% to 42%"),
        ((0.2, 0.42, 0.38), 1, U, "80%.*42% to 38%"),
        ((0.1, 0.6, 0.3), 0, U, "90%.*no region could be outlined"),
        ((0.9, 0.06, 0.04), 1, U, "outlined although.*10%"),
    ],
)
def test_normal_needs_both_voices_and_a_disagreement_is_said(probabilities, regions, answer, words):
    said, sentence = verdict.image_answer(np.array(probabilities), regions, 0.5, CERTAIN)
    assert said is answer
    assert (sentence is None) == (words is None)
    if words:
        first, second = words.split(".*")
        assert first in sentence
        assert second in sentence


@pytest.mark.parametrize(
    ("probabilities", "answer"), [((0.7, 0.2, 0.1), U), ((0.3, 0.5, 0.2), B), ((0.3, 0.2, 0.5), M), ((0, 0.5, 0.5), U)]
)
def test_a_region_is_never_normal(probabilities, answer):
    assert verdict.lesion_answer(np.array(probabilities), 0.5, CERTAIN) is answer


@pytest.mark.parametrize(
    ("answers", "study"),
    [
        ([N], N),
        ([N, N], N),
        ([N, B], B),
        ([B, M, N], M),
        ([U, N], U),
        ([U, B], B),
        ([X], X),
        ([X, X], X),
        ([N, X], U),
        ([X, B], B),
        ([X, U], U),
    ],
)
def test_a_study_is_what_its_most_suspicious_image_is(answers, study):
    assert verdict.study_answer(answers) is study


def test_among_equal_answers_the_likelier_tumour_speaks_and_then_the_first():
    assert verdict.most_suspicious([(B, 0.6), (B, 0.8), (N, 0.9)]) == 1
    assert verdict.most_suspicious([(N, 0.2), (N, 0.2)]) == 0


def test_probabilities_are_named_by_their_answer():
    assert verdict.named(np.array([0.5, 0.3, 0.2])) == {N: 0.5, B: 0.3, M: 0.2}
