"""The series of a hand together: calibration and figures join them as the node does."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.hand_card import HandCard
from models.hand_input import plan_of
from training.hand import bundle, calibrate, evaluate
from training.hand.dataset import Case, case_of, read, write
from training.hand.recipe import SMALL
from training.phantoms.hand import Plane, hand_patient
from training.phantoms.hand_tissue import HandKind
from training.phantoms.spine_tissue import Weight

PROTOCOL = ((Weight.T1, Plane.AXIAL), (Weight.FS, Plane.CORONAL))


def card_of(fusion: float) -> HandCard:
    plain = bundle.blank(SMALL, "0.0.1", {"kind": "phantom"})
    return replace(plain, calibration=replace(plain.calibration, fusion=fusion))


def drawn_case(number: int) -> Case:
    return case_of(hand_patient(number, kinds=(HandKind.GANGLION,), protocol=PROTOCOL, step_mm=2.0))


def looked_at(case: Case, said: Sequence[float]) -> list[evaluate.Looked]:
    """A network that gives the tumour of each series this probability, and nothing else one."""
    made = []
    for scan, chance in zip(case.scans, said, strict=True):
        way = plan_of(SMALL.preprocess, (scan.stack.shape[1], scan.stack.shape[2]), (scan.spacing_mm, scan.spacing_mm))
        tumour = way.resampled((scan.mask > 0).astype(np.float32)) * chance
        chances = np.stack([1.0 - tumour - 5e-4, tumour + 1e-4, *[np.full_like(tumour, 1e-4)] * 4])
        made.append(evaluate.Looked(case, scan, way, np.log(chances).astype(np.float16), 1.0))
    return made


def test_calibration_joins_the_series_as_the_node_does_and_trusts_the_rest_of_the_hand_least() -> None:
    case = drawn_case(3)
    looked = looked_at(case, [0.95] * (len(case.scans) - 1) + [0.0])
    alone = evaluate.together(looked, card_of(0.0))
    assert [id(each) for each in alone] == [id(each) for each in looked]
    joint = evaluate.together(looked, card_of(1.0))
    last = looked[-1].scan.mask > 0
    before, now = (each[-1].said(evaluate.UNCALIBRATED).tumour[last].max() for each in (looked, joint))
    assert before < 0.01
    assert now > 0.1
    tried = [
        calibrate.Pixels(card_of(weight), overlap, (0.0, 0.0))
        for weight, overlap in ((0.0, 0.50), (0.5, 0.595), (1.0, 0.60))
    ]
    assert calibrate.least_of(tried).card.calibration.fusion == 0.5


def test_series_of_two_frames_stay_apart_through_files_of_arrays(tmp_path: Path) -> None:
    case = drawn_case(3)
    first, *rest = case.scans
    write(replace(case, scans=(replace(first, frame="another"), *rest)), tmp_path)
    (found,) = read(tmp_path)
    assert [scan.input.frame for scan in found.scans] == ["another", *[""] * len(rest)]
    joint = evaluate.together(looked_at(found, [0.0] + [0.95] * len(rest)), card_of(1.0))
    assert joint[0].said(evaluate.UNCALIBRATED).tumour.max() < 0.01
