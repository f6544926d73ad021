"""Draws patients for people: slices with the truth outlined in green and the answer in red; best, middle and worst."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.pictures import Colour, Mask, png, tile
from training.stacks.evaluate import Judged, Seen

PATIENTS, SLICES = 2, 3
"""Of the best, of the middle and of the worst each; and of each patient."""


def montage(seen: Sequence[Seen], said: Sequence[Judged]) -> bytes:
    """A PNG: a row per patient, best first, then those without a tumour in whom something was outlined."""
    pairs = list(zip(seen, said, strict=True))
    ill = sorted((pair for pair in pairs if pair[1].tumours), key=lambda pair: -pair[1].dice)
    false = [pair for pair in pairs if not pair[1].tumours and pair[1].regions]
    middle = max(0, len(ill) // 2 - 1)
    places = dict.fromkeys(
        place
        for first in (0, middle, max(0, len(ill) - PATIENTS))
        for place in range(first, min(len(ill), first + PATIENTS))
    )
    rows = [_row(*pair) for pair in [*(ill[place] for place in places), *false[:PATIENTS]]]
    return png(rows)


def _row(seen: Seen, said: Judged) -> npt.NDArray[np.uint8]:
    """Every channel of the largest slice, then slices a quarter of the tumour's height away from it."""
    shown = np.flatnonzero(seen.case.mask.any(axis=(1, 2)) | said.mask.any(axis=(1, 2)))
    surface = seen.case.mask.sum(axis=(1, 2)) + 0.01 * said.mask.sum(axis=(1, 2))
    places = [int(surface.argmax()), *(int(shown[int(share * (len(shown) - 1))]) for share in (0.15, 0.85))][:SLICES]
    tiles = [_tile(seen, said, channel, places[0]) for channel in range(1, len(seen.stack.channels))]
    tiles = [_tile(seen, said, 0, place) for place in places] + tiles
    return np.concatenate(tiles, axis=1)


def _tile(seen: Seen, said: Judged, channel: int, place: int) -> npt.NDArray[np.uint8]:
    plane = seen.stack.channels[channel, place]
    outlines: dict[Colour, Mask] = {(255, 60, 40): said.mask[place], (60, 255, 60): seen.case.mask[place]}
    text = f"{said.name} {place} {said.answer}\nDice {said.dice:.3f}"
    return tile(plane, (seen.case.spacing[1], seen.case.spacing[2]), outlines, text)
