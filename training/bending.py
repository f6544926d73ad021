"""Elastic deformation: a grid of places to sample is moved by a few points, smoothly between them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor

POINTS = 5
"""Along each side, as recipes draw them."""


def bent(grid: Tensor, points: npt.NDArray[Any]) -> Tensor:
    """Where to sample instead.

    Parameters
    ----------
    grid
        `(batch, rows, columns, 2)`, in the coordinates of `grid_sample`: column, row, -1..1.
    points
        `(batch, 2, n, n)`: how far so many points along each side are moved, in the same coordinates.
    """
    field = torch.from_numpy(points.astype(np.float32))
    moved = F.interpolate(field, size=(grid.shape[1], grid.shape[2]), mode="bicubic", align_corners=True)
    return grid + moved.permute(0, 2, 3, 1)
