"""Slices for people: grey, as large as a tile, with outlines on them in colours and a line of text."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import scipy.ndimage
from PIL import Image, ImageDraw

SIDE = 256
"""Of a tile."""

Colour = tuple[int, int, int]
Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


def tile(
    plane: npt.NDArray[np.floating], millimetres: tuple[float, float], outlines: Mapping[Colour, Mask], text: str
) -> npt.NDArray[np.uint8]:
    """One slice, `(SIDE, SIDE, 3)`, its pixels as wide as high; a later outline lies over an earlier one.

    Parameters
    ----------
    plane
        `(rows, columns)` in 0..1.
    millimetres
        Between rows and between columns.
    """
    longest = max(plane.shape[0] * millimetres[0], plane.shape[1] * millimetres[1])
    rows, columns = (round(SIDE * n * mm / longest) for n, mm in zip(plane.shape, millimetres, strict=True))
    grey = Image.fromarray(np.rint(plane * 255.0).astype(np.uint8)).resize((columns, rows), Image.Resampling.BICUBIC)
    canvas = np.repeat(np.asarray(grey)[:, :, None], 3, axis=2)
    for colour, mask in outlines.items():
        canvas[_edge(mask, (rows, columns))] = colour
    full = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    full[:rows, :columns] = canvas
    picture = Image.fromarray(full)
    ImageDraw.Draw(picture).text((2, 2), text, fill=(255, 255, 0))
    return np.asarray(picture)


def png(rows: Sequence[Picture]) -> bytes:
    """Rows of tiles of one width, one below the other, as a file."""
    out = io.BytesIO()
    Image.fromarray(np.concatenate(rows, axis=0)).save(out, format="PNG")
    return out.getvalue()


def _edge(mask: Mask, size: tuple[int, int]) -> Mask:
    large = np.asarray(Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST))
    return np.asarray(large & ~scipy.ndimage.binary_erosion(large))
