import numpy as np
import pytest

from models.findings import Answer, ImageRef, MeasurementKind, ModelIdentity, Spacing, SpacingSource, Unit
from models.spine import (
    BATCH,
    Found,
    SpineNets,
    SpineRules,
    SpineSequence,
    answered,
    calibrated,
    conclude,
    detect,
    examine,
    is_assessable,
)
from models.spine_findings import findings, not_assessed
from models.wff import Vote, Weights

RULES = SpineRules(
    size=(96, 96),
    margin=1.0,
    box=0.3,
    weights=Weights(),
    ages=(0.2,) * 4 + (0.55,) + (0.7,) * 5,
    temperature=1.0,
    bias=0.0,
    certain=0.5,
)
IDENTITY = ModelIdentity("spine-wff", "spine", "1", "00", "CPUExecutionProvider", "phantom")
SPACING = Spacing(0.8, 0.8, SpacingSource.CALIBRATED)


class Detector:
    """Sees a box wherever a slice is bright, and calls it what `says` says."""

    provider = "CPUExecutionProvider"

    def __init__(self, says=(0.1, 0.3, 0.6)):
        self.says = says
        self.batches = []

    def run(self, images):
        self.batches.append(len(images))
        boxes = np.zeros((len(images), 8, 4), dtype=np.float32)
        probabilities = np.zeros((len(images), 8, 3), dtype=np.float32)
        for place, image in enumerate(images[:, 0]):
            bright = image > 0.9
            bright[:4] = False  # the strip that every made slice has
            if bright.sum() < 20:
                continue
            rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
            boxes[place, 0] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
            probabilities[place, 0] = self.says
        return {"boxes": boxes, "probabilities": probabilities}


class Classifier:
    provider = "CPUExecutionProvider"

    def __init__(self, malignant=0.7):
        self.logits = np.log([1 - malignant, malignant])
        self.seen = []

    def run(self, images):
        self.seen.append(images)
        return {"class_logits": np.tile(self.logits, (len(images), 1)).astype(np.float32)}


def _stack(bright, slices=9, side=128):
    stack = np.random.default_rng(0).uniform(100, 400, (slices, side, side)).astype(np.float32)
    stack[:, :3] = 1000.0
    for place in bright:
        stack[place, 40:60, 50:80] = 1000.0
    return stack


def _sequence(stack, uid="1.2"):
    refs = tuple(ImageRef(f"{uid}.{place}") for place in range(len(stack)))
    return SpineSequence(uid, refs, stack, SPACING)


def _found(malignants, slices=None, side=10.0):
    count = len(malignants)
    probabilities = np.array([[0.2, 0.8 * (1 - p), 0.8 * p] for p in malignants]).reshape(count, 3)
    boxes = np.tile([20.0, 20.0, 20.0 + side, 20.0 + side], (count, 1)).reshape(count, 4)
    return Found(np.array(range(count) if slices is None else slices, dtype=np.intp), boxes, probabilities)


def test_the_example_of_the_paper_goes_through_the_whole_fusion():
    found = [_found([0.9, 0.2, 0.6]), _found([0.3, 0.4]), _found([0.8]), _found([])]
    answer = conclude(found, [0.7, 0.4, 0.5, None], 45.0, RULES)
    votes = [sequence.vote for sequence in answer.sequences]
    assert [vote and vote.answer for vote in votes] == [Answer.MALIGNANT, Answer.BENIGN, Answer.MALIGNANT, None]
    assert [(vote.benign, vote.malignant) for vote in votes[:3]] == [(1, 2), (2, 0), (0, 1)]
    assert (answer.vote.answer, answer.vote.benign, answer.vote.malignant) == (Answer.MALIGNANT, 1, 2)
    assert answer.vote.score == pytest.approx(np.mean([0.625, 0.3925, 0.64]))
    assert answer.age == 0.55


def test_of_several_boxes_on_one_slice_the_best_votes():
    found = _found([0.9, 0.1], slices=[4, 4])
    found.probabilities[1] = [0.05, 0.855, 0.095]
    answer = conclude([found], [0.5], None, RULES)
    assert answer.sequences[0].voting == (1,)
    assert answer.vote.answer is Answer.BENIGN


def test_a_patient_without_a_box_has_no_tumour_detected_which_is_not_benign():
    answer = conclude([_found([]), _found([])], [None, None], 45.0, RULES)
    assert answer.vote is None
    said, probabilities, sentence = answered(answer.vote, RULES)
    assert said is Answer.NORMAL
    assert probabilities == {}
    assert "not the finding of a benign" in sentence


def test_boxes_return_to_the_pixels_of_the_source():
    nets = SpineNets(Detector(), Classifier())
    found = detect(nets, _stack([3, 4]) / 1000.0, (96, 96))
    assert found.slices.tolist() == [3, 4]
    assert found.boxes[0] == pytest.approx([50, 40, 80, 60], abs=1.5)


def test_slices_are_looked_at_in_small_batches():
    nets = SpineNets(Detector(), Classifier())
    detect(nets, _stack([], slices=2 * BATCH + 3) / 1000.0, (96, 96))
    assert nets.detector.batches == [BATCH, BATCH, 3]


def test_the_classifier_sees_sixteen_times_the_largest_box_on_the_slices_of_its_lesion():
    nets = SpineNets(Detector(), Classifier())
    timings = {}
    examine(nets, [_stack([3, 4, 5])], 45.0, RULES, timings)
    seen = nets.classifier.seen[0]
    assert seen.shape == (1, 16, 112, 112)
    assert (seen > 0.9).mean() > 0.9, "the box, and only slices that show it"
    assert set(timings) == {"preprocess", "detection", "classification", "fusion"}


def test_a_study_is_answered_with_boxes_sequences_and_terms():
    nets = SpineNets(Detector(), Classifier(0.8))
    sequences = [_sequence(_stack([3, 4, 5]), "1.1"), _sequence(_stack([]), "1.2")]
    answer = examine(nets, [each.stack for each in sequences], 45.0, RULES, {})
    found = findings(IDENTITY, RULES, sequences, answer, [], {"detection": 0.1})
    assert found.answer is Answer.MALIGNANT
    assert sum(found.probabilities.values()) == pytest.approx(1.0)
    assert [(term.name, term.weight) for term in found.terms] == [("detector", 0.45), ("sequence", 0.45), ("age", 0.1)]
    assert [term.malignant_probability for term in found.terms] == pytest.approx([2 / 3, 0.8, 0.55])
    first, second = found.sources
    assert first.answer is Answer.MALIGNANT
    assert second.answer is Answer.NORMAL
    assert second.terms == ()
    assert not first.mask.any(), "a box is no mask"
    assert len(first.lesions) == 1
    lesion = first.lesions[0]
    assert [outline.sop_instance_uid for outline in lesion.outlines] == ["1.1.3", "1.1.4", "1.1.5"]
    assert lesion.outlines[0].points == pytest.approx(np.array([[50, 40], [80, 40], [80, 60], [50, 60]]), abs=1.5)
    assert [(m.kind, m.unit) for m in lesion.measurements] == [
        (MeasurementKind.LONG_AXIS, Unit.MM),
        (MeasurementKind.SHORT_AXIS, Unit.MM),
    ]
    assert lesion.measurements[0].value == pytest.approx(24.0, abs=2.5)
    assert lesion.probability == pytest.approx(0.9, abs=1e-5)


def test_an_unknown_age_is_a_missing_term():
    nets = SpineNets(Detector(), Classifier(0.8))
    sequence = _sequence(_stack([3]))
    found = findings(IDENTITY, RULES, [sequence], examine(nets, [sequence.stack], None, RULES, {}), [], {})
    assert found.terms[2].malignant_probability is None
    assert sum(found.probabilities.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("stack", "reason"),
    [
        (np.ones((2, 128, 128), dtype=np.float32), "2 slices"),
        (np.ones((9, 32, 128), dtype=np.float32), "32 x 128"),
        (np.zeros((9, 128, 128), dtype=np.float32), "no signal"),
        (np.full((9, 128, 128), -5.0, dtype=np.float32), "no signal"),
        (np.full((9, 128, 128), np.nan, dtype=np.float32), "no numbers"),
    ],
    ids=["too few slices", "too small", "all black", "below zero", "not finite"],
)
def test_what_cannot_be_looked_at_is_not_assessed(stack, reason):
    assert reason in is_assessable(stack)
    assert is_assessable(_stack([3])) is None


def test_nothing_found_beside_a_sequence_that_was_not_assessed_is_undecided():
    nets = SpineNets(Detector(), Classifier())
    sequence = _sequence(_stack([]))
    refused = not_assessed(_sequence(np.zeros((9, 128, 128), dtype=np.float32), "1.3"), "Not assessed: black.")
    answer = examine(nets, [sequence.stack], 45.0, RULES, {})
    assert findings(IDENTITY, RULES, [sequence], answer, [], {}).answer is Answer.NORMAL
    assert findings(IDENTITY, RULES, [sequence], answer, [refused], {}).answer is Answer.UNDECIDED
    nothing = conclude([], [], 45.0, RULES)
    assert findings(IDENTITY, RULES, [], nothing, [refused], {}).answer is Answer.NOT_ASSESSED


def test_calibration_keeps_the_order_and_the_ends():
    said = [calibrated(score, RULES) for score in (0.0, 0.2, 0.5, 0.9, 1.0)]
    assert said == pytest.approx([0.0, 0.2, 0.5, 0.9, 1.0], abs=1e-5)


def test_an_answer_that_the_card_is_not_sure_enough_of_is_undecided():
    from dataclasses import replace

    vote = Vote(Answer.MALIGNANT, 1, 2, 0.7)
    assert answered(vote, RULES)[0] is Answer.MALIGNANT
    assert answered(vote, replace(RULES, certain=0.25))[0] is Answer.UNDECIDED, "benign is possible too"
    assert answered(vote, replace(RULES, certain=0.8))[0] is Answer.UNDECIDED
    contrary = Vote(Answer.MALIGNANT, 1, 2, 0.4)
    said, _, sentence = answered(contrary, RULES)
    assert said is Answer.UNDECIDED, "votes and mean disagree"
    assert "2 malignant, 1 benign" in sentence
