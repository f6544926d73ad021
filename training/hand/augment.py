"""Other views of the same hands (hand-deep-ht, section 2.3): left and right exchanged, turned a little, bent a little.

Never upside down: fingertips are always up. Grey values stay as CLAHE leaves them. A whole batch is moved at once.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor

from training.bending import POINTS, bent

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class AugmentSpec:
    """How far views may go."""

    flip: float
    """Chance that left and right are exchanged."""
    rotation_deg: float
    """Largest turn to either side."""
    scale: float
    """Standard deviation of the logarithm of the size."""
    elastic: float
    """Standard deviation of the displacement of a free point, as a share of the side."""


def theta(spec: AugmentSpec, count: int, rng: Rng) -> Tensor:
    """`(count, 2, 3)`: where each view looks, as torch's affine_grid takes it. The second row never changes sign."""
    turn = np.deg2rad(rng.uniform(-spec.rotation_deg, spec.rotation_deg, count))
    size = np.exp(rng.normal(0.0, spec.scale, count)) if spec.scale else np.ones(count)
    mirror = np.where(rng.random(count) < spec.flip, -1.0, 1.0)
    made = np.zeros((count, 2, 3), dtype=np.float32)
    made[:, 0, 0], made[:, 0, 1] = mirror * np.cos(turn) * size, -np.sin(turn) * size
    made[:, 1, 0], made[:, 1, 1] = mirror * np.sin(turn) * size, np.cos(turn) * size
    return torch.from_numpy(made)


def augmented(images: Tensor, masks: Tensor, spec: AugmentSpec, rng: Rng) -> tuple[Tensor, Tensor]:
    """New views of a batch.

    Parameters
    ----------
    images
        `(batch, channels, rows, columns)`.
    masks
        `(batch, rows, columns)` of class numbers; they stay whole numbers.
    """
    count, _, rows, columns = images.shape
    grid = F.affine_grid(theta(spec, count, rng), [count, 1, rows, columns], align_corners=False)
    if spec.elastic:
        grid = bent(grid, rng.normal(0.0, 2.0 * spec.elastic, (count, 2, POINTS, POINTS)))
    moved = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    seen = F.grid_sample(masks[:, None].float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return moved, seen[:, 0].round().long()
