"""The ablation of the paper's Tables 2 and 3: what each branch, and each of the two networks, is worth.

Rows 1 and 2 are global networks trained without a branch; rows 3 to 5 are one run of both networks, looked at apart and
together. All see the same blocks that nobody trained on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models import patches
from models.fusion import fuse_masks
from models.metrics import dice, iou
from models.pixels import resize
from training.knee import fit
from training.knee.dataset import Radiographs
from training.knee.nets import SegUNet
from training.knee.recipe import Recipe
from training.knee.serving import Served, ServeSpec

PAPER = {
    "1 Seg-Unet": 69.50,
    "2 Seg-Unet + ClasSeg": 77.28,
    "3 Seg-Unet + ClasSegDis Patch": 66.53,
    "4 Seg-Unet + ClasSegDis Global": 78.89,
    "5 Seg-Unet + ClasSegDis Patch + Global": 84.84,
}
""" "MeanIoU" of Table 3, which A9 makes a Dice averaged with the background's (MODELS.md §5.3, decision 1)."""
WITHOUT = {"1 Seg-Unet": (0.0, 1.0, 0.0), "2 Seg-Unet + ClasSeg": (1.0, 1.0, 0.0)}
"""Which of the weights of A4 stay: class, mask, distance."""
THRESHOLD = 0.5

Float = npt.NDArray[np.float32]
Map = Callable[[Float], Float]
"""From an image in 0..1 to its probability of tumour, on the same grid."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; means over the tumour images."""

    name: str
    iou: float
    dice: float
    dice_with_background: float
    """The mean of the tumour's and the background's Dice, as the paper's figure most likely is."""


def ablate(data: Radiographs, recipe: Recipe, folder: Path, part: str, minutes: float | None) -> list[Row]:
    """Train what the table needs below `folder`, or go on, and measure every row on a part of the split.

    Parameters
    ----------
    minutes
        The budget of each of the three runs; None takes the steps of the recipe.
    """
    chosen = [index for index in getattr(data.split(), part) if data.labels[index]]
    ways: dict[str, Map] = {}
    for name, kept in WITHOUT.items():
        of_class, of_mask, of_distance = (weight * keep for weight, keep in zip(recipe.loss.alphas, kept, strict=True))
        alphas = (of_class, of_mask, of_distance)
        cut = replace(recipe, loss=replace(recipe.loss, alphas=alphas))
        ways[name] = whole(fit.train_global(data, cut, folder / f"model-{name[0]}", minutes), recipe)
    ways |= both(fit.train(data, recipe, folder / "model-5", minutes), recipe)
    return [row(name, way, data, chosen) for name, way in sorted(ways.items())]


def whole(net: SegUNet, recipe: Recipe) -> Map:
    """The global network's map."""
    served = Served(net, ServeSpec((recipe.looks,), mirrored=False)).eval()
    return lambda image: _maps(served, image[None])[0]


def both(nets: Mapping[str, SegUNet], recipe: Recipe) -> dict[str, Map]:
    """The maps of rows 3 to 5."""
    served = Served(nets["patch"], ServeSpec((recipe.side,), mirrored=False)).eval()
    of_whole = whole(nets["global"], recipe)

    def of_patches(image: Float) -> Float:
        size = (recipe.side, recipe.side)
        places = patches.windows(*image.shape)
        windows = [resize(image[top:bottom, left:right], size) for top, bottom, left, right in places]
        return resize(patches.merge(_maps(served, np.stack(windows)), (2 * size[0], 2 * size[1])), image.shape)

    return {
        "3 Seg-Unet + ClasSegDis Patch": of_patches,
        "4 Seg-Unet + ClasSegDis Global": of_whole,
        "5 Seg-Unet + ClasSegDis Patch + Global": lambda image: fuse_masks(of_whole(image), of_patches(image)),
    }


def row(name: str, way: Map, data: Radiographs, indices: Sequence[int]) -> Row:
    """One row, from the images at `indices`."""
    overlaps = []
    for index in indices:
        wanted = data.masks[index] > 0
        found = way(data.images[index].astype(np.float32) / 255.0) >= THRESHOLD
        tumour = dice(wanted, found)
        overlaps.append((iou(wanted, found), tumour, (tumour + dice(~wanted, ~found)) / 2.0))
    return Row(name, *np.mean(overlaps, axis=0).tolist())


def table(rows: Sequence[Row], part: str, kind: str) -> str:
    """The rows as text, beside the paper's figure."""
    lines = [
        f"Tumour images of the {part} part, {kind}, without calibration; the paper's on its own patients.",
        f"{'':40s} {'IoU':>6s} {'Dice':>6s} {'with background':>16s}   paper's MeanIoU",
    ]
    for each in rows:
        figures = f"{each.iou:6.3f} {each.dice:6.3f} {each.dice_with_background:16.3f}"
        lines.append(f"{each.name:40s} {figures}   {PAPER[each.name] / 100:.3f}")
    return "\n".join(lines)


@torch.no_grad()
def _maps(served: Served, images: Float) -> Float:
    said = served(torch.from_numpy(np.ascontiguousarray(images))[:, None]).mask_logits[:, 0]
    return np.asarray(torch.sigmoid(said).numpy(), dtype=np.float32)
