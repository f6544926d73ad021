"""Draws patients for people: a slice of each sequence, true boxes in green, found ones in red, and the answer."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from training.pictures import png
from training.spine.dataset import KINDS
from training.spine.evaluate import Judged, Looked

PATIENTS = 2
"""Of the best, of the middle and of the worst each."""
SIDE, COLUMNS = 256, 4
TRUE, FOUND, WORDS = (60, 255, 60), (255, 60, 40), (255, 255, 0)


def montage(looked: Sequence[Looked], said: Sequence[Judged]) -> bytes:
    """A PNG: a row per patient, the best first; worse is who has more missed lesions and false findings."""
    pairs = sorted(zip(looked, said, strict=True), key=lambda pair: (_faults(pair[1]), pair[1].case.name))
    places = dict.fromkeys(
        place
        for first in (0, max(0, len(pairs) // 2 - 1), max(0, len(pairs) - PATIENTS))
        for place in range(first, min(len(pairs), first + PATIENTS))
    )
    return png([_row(*pairs[place]) for place in places])


def _faults(said: Judged) -> int:
    return said.true_lesions - said.met_lesions + said.false_findings


def _row(looked: Looked, said: Judged) -> npt.NDArray[np.uint8]:
    tiles = [_tile(looked, said, number) for number in range(min(COLUMNS, len(looked.grey)))]
    tiles += [np.zeros((SIDE, SIDE, 3), dtype=np.uint8)] * (COLUMNS - len(tiles))
    return np.concatenate(tiles, axis=1)


def _tile(looked: Looked, said: Judged, number: int) -> npt.NDArray[np.uint8]:
    """The slice of a sequence with the largest true box, else with the surest found one, else the middle one."""
    scan, found, grey = looked.case.scans[number], said.answer.sequences[number].found, looked.grey[number]
    if len(scan.boxes):
        sides = scan.boxes[:, 2:] - scan.boxes[:, :2]
        place = int(scan.slices[sides.prod(axis=1).argmax()])
    else:
        place = int(found.slices[found.scores.argmax()]) if len(found.boxes) else len(grey) // 2
    scale = SIDE / max(grey.shape[1:])
    size = round(grey.shape[2] * scale), round(grey.shape[1] * scale)
    picture = Image.new("RGB", (SIDE, SIDE))
    picture.paste(Image.fromarray(np.rint(grey[place] * 255.0).astype(np.uint8)).resize(size), (0, 0))
    draw = ImageDraw.Draw(picture)
    for box in scan.boxes[scan.slices == place]:
        draw.rectangle([float(edge) * scale for edge in box], outline=TRUE)
    for box, score in zip(found.boxes[found.slices == place], found.scores[found.slices == place], strict=True):
        draw.rectangle([float(edge) * scale for edge in box], outline=FOUND)
        draw.text((float(box[0]) * scale, float(box[3]) * scale), f"{score:.2f}", fill=FOUND)
    vote = said.answer.vote
    answer = f"{vote.answer.value} {vote.score:.2f}" if vote else "no tumour"
    draw.text((2, 2), f"{looked.case.name} {scan.weighting} {place}", fill=WORDS)
    draw.text((2, 14), f"is {KINDS[looked.case.kind]}, said {answer}", fill=WORDS)
    return np.asarray(picture)
