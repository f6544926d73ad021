"""The ablation of the paper's Tables 2 to 4: what each branch, and each of the two networks, is worth.

Rows 1 and 2 are global networks trained without a branch; rows 3 to 5 are one run of both networks, looked at apart and
together. All see the same blocks that nobody trained on: masks are compared on images with a tumour (Table 3), classes
on all of them (Table 4). Row 1 has no class branch, and no row in Table 4.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from models import patches
from models.fusion import fuse_classes, fuse_masks
from models.knee_patch import Stages, look, sigmoid, softmax
from models.metrics import (
    Spread,
    accuracy,
    confusion,
    dice,
    dice_with_background,
    iou,
    macro_f1,
    mean_accuracy,
    weighted_f1,
)
from models.pixels import normalise, resize
from training.knee import fit
from training.knee.dataset import Radiographs
from training.knee.nets import CLASSES, SegUNet
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
PAPER_CLASSES = {
    "2 Seg-Unet + ClasSeg": (95.27, 82.27, 29.60, 94.57),
    "3 Seg-Unet + ClasSegDis Patch": (77.29, 80.37, 13.72, 78.58),
    "4 Seg-Unet + ClasSegDis Global": (94.32, 93.97, 5.61, 94.42),
    "5 Seg-Unet + ClasSegDis Patch + Global": (99.05, 96.30, 6.41, 99.03),
}
"""Table 4: accuracy, mean and standard deviation of the accuracy of each class, and F1.

The deviation is that of a sample (MODELS.md §5.3, decision 5); the F1 is weighted by the cases of each class: as a mean
of the classes it would be less than 98 in row 5.
"""
WITHOUT = {"1 Seg-Unet": (0.0, 1.0, 0.0), "2 Seg-Unet + ClasSeg": (1.0, 1.0, 0.0)}
"""Which of the weights of A4 stay: class, mask, distance."""
THRESHOLD = 0.5
NORMAL_TOTAL = 0.2
"""T of A6, for which the paper gives no number (MODELS.md §5.3, decision 2)."""

Float = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]


class Said(NamedTuple):
    """What is said of one image."""

    tumour: Float
    """`(rows, columns)`: the probability of tumour, on the grid of the mask in the collection."""
    classes: Vector | None
    """`(3,)`, sums to 1; None of a network whose class branch did not train."""


Way = Callable[[int], Said]
"""From an image's place in the collection to what is said of it."""


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """A7 over the three classes."""

    accuracy: float
    of_classes: Spread
    """The accuracy of each class, which is its recall, in per cent."""
    macro_f1: float
    weighted_f1: float
    """As the paper's figure is."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the tables: means over the tumour images, and the classes of all images."""

    name: str
    iou: float
    dice: float
    dice_with_background: float
    """A9, as the paper's figure most likely is."""
    classes: ClassFigures | None


def ablate(data: Radiographs, recipe: Recipe, folder: Path, part: str, minutes: float | None) -> list[Row]:
    """Train what the table needs below `folder`, or go on, and measure every row on a part of the split.

    Parameters
    ----------
    minutes
        The budget of each of the three runs; None takes the steps of the recipe.
    """
    chosen = getattr(data.split(), part)
    ways: dict[str, Way] = {}
    for name, kept in WITHOUT.items():
        of_class, of_mask, of_distance = (weight * keep for weight, keep in zip(recipe.loss.alphas, kept, strict=True))
        alphas = (of_class, of_mask, of_distance)
        cut = replace(recipe, loss=replace(recipe.loss, alphas=alphas))
        net = fit.train_global(data, cut, folder / f"model-{name[0]}", minutes)
        ways[name] = whole(net, recipe, data, has_classes=of_class > 0.0)
    ways |= both(fit.train(data, recipe, folder / "model-5", minutes), recipe, data)
    return [row(name, way, data, chosen) for name, way in sorted(ways.items())]


def whole(net: SegUNet, recipe: Recipe, data: Radiographs, *, has_classes: bool = True) -> Way:
    """What the global network says."""
    served = Served(net, ServeSpec((recipe.looks,), mirrored=False)).eval()

    def of_whole(index: int) -> Said:
        said = _said(served, _squeezed(data, index)[None, None])
        return Said(sigmoid(said["mask_logits"][0, 0]), softmax(said["class_logits"])[0] if has_classes else None)

    return of_whole


def both(nets: Mapping[str, SegUNet], recipe: Recipe, data: Radiographs) -> dict[str, Way]:
    """What rows 3 to 5 say: the patch network, the global one, and both by A5 and A6."""
    served = Served(nets["patch"], ServeSpec((recipe.side,), mirrored=False)).eval()
    of_whole, size = whole(nets["global"], recipe, data), (recipe.side, recipe.side)

    def of_patches(index: int) -> Said:
        is_squeezed = recipe.window_px is None
        image = _squeezed(data, index) if is_squeezed else normalise(data.original(index)[0])
        tiling = patches.tiling(image.shape, size, recipe.window_px)
        seen = look(lambda windows: _said(served, windows), image, tiling, size, THRESHOLD, Stages(), data.names[index])
        return Said(resize(seen.tumour, data.masks.shape[1:]), patches.merge_classes(seen.classes, seen.pixels > 0))

    def fused(index: int) -> Said:
        one, other = of_whole(index), of_patches(index)
        assert one.classes is not None  # both networks have
        assert other.classes is not None  # the class branch
        classes = fuse_classes(one.classes, other.classes, NORMAL_TOTAL)
        return Said(fuse_masks(one.tumour, other.tumour), classes)

    return {
        "3 Seg-Unet + ClasSegDis Patch": of_patches,
        "4 Seg-Unet + ClasSegDis Global": of_whole,
        "5 Seg-Unet + ClasSegDis Patch + Global": fused,
    }


def row(name: str, way: Way, data: Radiographs, indices: Sequence[int]) -> Row:
    """One row, from the images at `indices`."""
    overlaps, answers = [], []
    for index in indices:
        said = way(index)
        if said.classes is not None:
            answers.append(int(said.classes.argmax()))
        if data.labels[index]:
            wanted, found = data.masks[index] > 0, said.tumour >= THRESHOLD
            overlaps.append((iou(wanted, found), dice(wanted, found), dice_with_background(wanted, found)))
    truth = data.labels[list(indices)]
    union, own, with_background = np.mean(overlaps, axis=0).tolist()
    return Row(name, union, own, with_background, _classified(truth, np.array(answers)) if answers else None)


def _classified(truth: npt.NDArray[np.int64], answers: npt.NDArray[np.int64]) -> ClassFigures:
    matrix = confusion(truth, answers, len(CLASSES))
    return ClassFigures(accuracy(matrix), mean_accuracy(matrix), macro_f1(matrix), weighted_f1(matrix))


def table(rows: Sequence[Row], part: str, kind: str) -> str:
    """The rows as text, masks and then classes, beside the paper's figures."""
    lines = [
        f"Tumour images of the {part} part, {kind}, without calibration; the paper's on its own patients.",
        f"{'':40s} {'IoU':>6s} {'Dice':>6s} {'with background':>16s}   paper's MeanIoU",
    ]
    for each in rows:
        figures = f"{each.iou:6.3f} {each.dice:6.3f} {each.dice_with_background:16.3f}"
        lines.append(f"{each.name:40s} {figures}   {PAPER[each.name] / 100:.3f}")
    lines += [
        "",
        f"Classes of all images of the {part} part: accuracy, mean accuracy of the classes with its sample deviation, "
        "F1 as the mean of the classes and weighted by their images.",
        f"{'':40s} {'ACC':>6s} {'mean':>6s} {'sd':>6s} {'F1':>6s} {'w. F1':>6s}   paper: ACC, mean, sd, weighted F1",
    ]
    for each in rows:
        if each.classes is None:
            lines.append(f"{each.name:40s} has no class branch")
            continue
        mine = each.classes
        values = (
            mine.accuracy,
            mine.of_classes.mean / 100,
            mine.of_classes.sample / 100,
            mine.macro_f1,
            mine.weighted_f1,
        )
        paper = " ".join(f"{value / 100:.3f}" for value in PAPER_CLASSES[each.name])
        lines.append(f"{each.name:40s} {' '.join(f'{value:6.3f}' for value in values)}   {paper}")
    return "\n".join(lines)


def _squeezed(data: Radiographs, index: int) -> Float:
    return np.asarray(data.images[index].astype(np.float32) / 255.0)


@torch.no_grad()
def _said(served: Served, images: Float) -> dict[str, Float]:
    """What a network says of `(n, 1, rows, columns)`, as the node's session gives it."""
    said = served(torch.from_numpy(np.ascontiguousarray(images)))
    return {"class_logits": said.class_logits.numpy(), "mask_logits": said.mask_logits.numpy()}
