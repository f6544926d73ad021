"""Draws patients for people: a row per patient, a tile per sequence, on the slice where tumour or answer is largest.

The truth is outlined in white, the answer in the colour of the kind that the study is said to show.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.hand_card import CLASSES
from training.hand.evaluate import Examined, Looked, Patient
from training.pictures import SIDE, Colour, png, tile

BEST, WORST = 5, 5
TILES = 4
TRUTH: Colour = (255, 255, 255)
COLOURS: tuple[Colour, ...] = ((90, 200, 255), (255, 80, 60), (255, 220, 60), (230, 90, 255), (90, 255, 120))
"""Of the five kinds, in their order."""


def montage(looked: Sequence[Looked], patients: Sequence[Patient]) -> bytes:
    """A PNG of the patients whose tumours were outlined best, those outlined worst, and false alarms."""
    ill = [patient for patient in patients if patient.case.kind]
    ill.sort(key=lambda patient: -float(np.nan_to_num([each.overlap for each in patient.series]).mean()))
    alarms = [patient for patient in patients if not patient.case.kind and any(e.answer.bodies for e in patient.series)]
    shown = [*ill[:BEST], *ill[max(BEST, len(ill) - WORST) :], *alarms[:2]]
    scans = {patient.case.name: [each for each in looked if each.case is patient.case] for patient in shown}
    rows = [_row(patient, scans[patient.case.name]) for patient in shown]
    return png(rows)


def _row(patient: Patient, scans: Sequence[Looked]) -> npt.NDArray[np.uint8]:
    tiles = [_tile(patient, *pair) for pair in zip(scans, patient.series, strict=True)][:TILES]
    tiles += [np.zeros((SIDE, SIDE, 3), dtype=np.uint8)] * (TILES - len(tiles))
    return np.concatenate(tiles, axis=1)


def _tile(patient: Patient, looked: Looked, said: Examined) -> npt.NDArray[np.uint8]:
    scan, kinds = looked.scan, patient.study.kinds
    outlined = np.zeros(scan.mask.shape, dtype=bool)
    for body in said.answer.bodies:
        outlined[body.mass.box] |= body.mass.mask
    place = int((outlined.sum(axis=(1, 2)) + 2 * (scan.mask > 0).sum(axis=(1, 2))).argmax())
    answered = 0 if kinds is None else int(kinds.argmax()) + 1
    outlines = {COLOURS[answered - 1]: outlined[place], TRUTH: scan.mask[place] > 0}
    text = (
        f"{scan.weighting} {scan.plane} {place}: {CLASSES[patient.case.kind]}\n"
        f"said {CLASSES[answered]} {patient.study.chance:.0%}, Dice {said.overlap:.2f}"
    )
    return tile(scan.stack[place] / np.float32(255.0), (scan.spacing_mm, scan.spacing_mm), outlines, text)
