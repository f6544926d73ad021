"""Trains the network of the hand system; a run that was killed goes on where it was."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.hand_card import CLASSES, ROLE
from models.metrics import confusion
from training.hand import losses
from training.hand.batches import Batch, Drawer, Slice, slices_of
from training.hand.dataset import Case, split
from training.hand.nets import DeepLab
from training.hand.recipe import Recipe
from training.hand.scores import Ints, ious, mean_iou
from training.loop import fit, progress_of
from training.patients import Parts
from training.run import claim, keep, with_weights
from training.start import VIEWS, Start, begin, claimed
from training.taught import taught_of

log = logging.getLogger(__name__)

WEIGHTS = "net.pt"
HEADS = "auxiliary."
"""What only training looks at, by the names of its parameters."""
EXAMINED = 200
"""While training, so many validation slices are looked at: enough to see where it goes."""


def train(
    cases: Sequence[Case],
    recipe: Recipe,
    folder: Path,
    minutes: float | None = None,
    start: Start | None = None,
) -> DeepLab:
    """Train, or go on with, the network; its averaged weights end in `folder`/net.pt.

    Parameters
    ----------
    minutes
        The budget; None takes the steps of the recipe.
    start
        The bundle to begin with; None begins with random weights.
    """
    return train_on(split(cases), recipe, folder, minutes, start)


def train_on(
    parts: Parts[Case],
    recipe: Recipe,
    folder: Path,
    minutes: float | None = None,
    start: Start | None = None,
) -> DeepLab:
    """The same with parts that were divided otherwise, as a fold is."""
    claim(folder, recipe, minutes, claimed(start) | taught_of([case.name for case in parts.train]))
    plan = recipe.plan if minutes is None else replace(recipe.plan, steps=None, minutes=minutes)
    torch.manual_seed(plan.seed)
    drawer = Drawer(parts.train, recipe.preprocess, recipe.batches, recipe.augment, plan.seed)
    log.info("Slices for training, by class: %s.", ", ".join(map(str, drawer.counts)))
    examined = examined_slices(parts.validation, recipe)

    def loss_of(net: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(net, DeepLab)  # what went in is what is trained
        outputs, beside = net.supervised(batch.image)
        return losses.supervised_loss(outputs.mask_logits, beside, batch.truth, recipe.loss)

    def observe(average: nn.Module, step: int, share: float) -> float:
        matrix = confused(average, examined, recipe)
        each, score = ious(matrix), mean_iou(matrix)
        log.info(
            "Step %d, %.0f %%: mIoU %.3f, IoU %s.",
            step,
            100 * share,
            score,
            " ".join(f"{x:.2f}" for x in each),
        )
        return score

    net = DeepLab(recipe.net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs
    begin(net, start, ROLE, (drawer(step, 0.0).image for step in range(VIEWS)), folder, drawn=HEADS)
    averaged = fit(net, drawer, loss_of, plan, folder, observe=observe)
    assert isinstance(averaged, DeepLab)  # what went in is what is averaged
    keep(averaged, folder / WEIGHTS)
    return averaged


def load(recipe: Recipe, folder: Path, start_share: float = 0.0) -> DeepLab:
    """The trained network of a run, or its mean with what it began with (see `run.with_weights`)."""
    return with_weights(DeepLab(recipe.net), folder / WEIGHTS, folder, start_share)


def spent(folder: Path) -> tuple[int, int]:
    """Seconds and steps of a run."""
    state = progress_of(folder)
    return round(state.seconds), state.step


def examined_slices(cases: Sequence[Case], recipe: Recipe) -> list[Slice]:
    """Validation slices, evenly chosen, at least a third of them with a tumour where there are as many."""
    places = [
        (number, scan, place)
        for number, case in enumerate(cases)
        for scan, each in enumerate(case.scans)
        for place in range(len(each.stack))
    ]
    with_one = [(number, scan, place) for number, scan, place in places if cases[number].scans[scan].mask[place].any()]
    chosen: dict[int, dict[int, list[int]]] = {}
    for number, scan, place in [*_thinned(with_one, EXAMINED // 3), *_thinned(places, EXAMINED - EXAMINED // 3)]:
        chosen.setdefault(number, {}).setdefault(scan, []).append(place)
    return [each for number, mine in chosen.items() for each in slices_of(cases[number], recipe.preprocess, mine)]


def _thinned(places: list[tuple[int, int, int]], count: int) -> list[tuple[int, int, int]]:
    return places[:: max(1, -(-len(places) // count))]


@torch.no_grad()
def confused(net: nn.Module, examined: Sequence[Slice], recipe: Recipe) -> Ints:
    """The confusion of all pixels of the middle of each slice, as large as the input."""
    total = np.zeros((len(CLASSES), len(CLASSES)), dtype=np.int64)
    rows, columns = recipe.preprocess.size
    for each in examined:
        top, left = (each.truth.shape[0] - rows) // 2, (each.truth.shape[1] - columns) // 2
        place = slice(top, top + rows), slice(left, left + columns)
        image = torch.from_numpy(each.image[:, place[0], place[1]].astype(np.float32) / 255.0)[None]
        said = net(image).mask_logits[0].argmax(dim=0).numpy()
        total += confusion(each.truth[place].astype(np.int64).ravel(), said.ravel(), len(CLASSES))
    return total
