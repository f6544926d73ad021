"""Draws cases for people: the image, the truth outlined in green, the answer in red; the best and the worst."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.ndimage
from PIL import Image, ImageDraw

from models.findings import ImageRef
from models.images import Radiograph
from models.knee import Knee, KneeImage
from models.pixels import normalise
from training.knee.dataset import Radiographs
from training.knee.evaluate import UNKNOWN, Case
from training.knee.layouts import grey
from training.knee.nets import CLASSES

ROW, SIDE = 6, 256


def montage(cases: Sequence[Case], knee: Knee, data: Radiographs, folder: Path) -> bytes:
    """A PNG of rows: best outlined, middling, worst outlined, surest missed tumours, surest wrong and right normals."""
    tumours = sorted((case for case in cases if case.label), key=lambda case: -np.nan_to_num(case.overlap))
    normals = sorted((case for case in cases if not case.label), key=lambda case: case.probabilities[0])
    missed = sorted(tumours, key=lambda case: -case.probabilities[0])
    middle = len(tumours) // 2
    rows = [tumours[:ROW], tumours[middle : middle + ROW], tumours[-ROW:], missed[:ROW], normals[:ROW], normals[-ROW:]]
    drawn = [
        np.concatenate([_tile(case, knee, data, folder) for case in row], axis=1) for row in rows if len(row) == ROW
    ]
    out = io.BytesIO()
    Image.fromarray(np.concatenate(drawn, axis=0)).save(out, format="PNG")
    return out.getvalue()


def _tile(case: Case, knee: Knee, data: Radiographs, folder: Path) -> npt.NDArray[np.uint8]:
    pixels = grey(folder, case.name)
    shown = np.rint(normalise(pixels) * 255.0).astype(np.uint8)
    found = knee.examine(KneeImage(ImageRef(case.name), case.name, Radiograph(pixels, shown, None, ()), UNKNOWN))
    canvas = np.repeat(shown[:, :, None], 3, axis=2)
    canvas[_edge(found.findings.mask[0] > 0)] = (255, 60, 40)
    truth = Image.fromarray(data.masks[data.names.index(case.name)]).resize(shown.shape[::-1], Image.Resampling.NEAREST)
    canvas[_edge(np.asarray(truth) > 0)] = (60, 255, 60)
    picture = Image.fromarray(canvas).resize((SIDE, SIDE))
    said = " ".join(f"{value:.2f}" for value in case.probabilities)
    ImageDraw.Draw(picture).text((2, 2), f"{case.name} {CLASSES[case.label]}\n{case.answer} {said}", fill=(255, 255, 0))
    return np.asarray(picture)


def _edge(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    return np.asarray(mask & ~scipy.ndimage.binary_erosion(mask))
