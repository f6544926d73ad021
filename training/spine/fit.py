"""Trains the two networks of the spine system: the detector on slices, the classifier on crops of sequences."""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.metrics import roc_auc
from models.spine_input import largest
from models.wff import age_table
from training.crew import is_first
from training.loop import Plan, fit, progress_of
from training.patients import Parts
from training.run import claim, keep, with_weights
from training.spine import classifier_batches, detector_batches
from training.spine.classifier import Classifier
from training.spine.cutmix import Pasted
from training.spine.dataset import Case, Scan, split
from training.spine.detection import Detected, average_precision
from training.spine.detector import Detector
from training.spine.detector_loss import losses
from training.spine.recipe import Recipe
from training.start import VIEWS, Start, begin, claimed
from training.taught import taught_of

log = logging.getLogger(__name__)

STAGES = ("detector", "classifier")
AGES = "ages.json"
EXAMINED = 160
"""While training, this many validation slices are looked at: enough to see where it goes."""


class Nets(NamedTuple):
    """Both trained networks, and the age statistics of the patients they trained on."""

    detector: Detector
    classifier: Classifier
    ages: tuple[float, ...]


def train(
    cases: Sequence[Case],
    recipe: Recipe,
    folder: Path,
    minutes: float | None = None,
    start: Start | None = None,
) -> Nets:
    """Train, or go on with, both networks; their averaged weights end in `folder`/detector.pt and classifier.pt.

    Parameters
    ----------
    minutes
        The budget of both together; None takes the steps of the recipe.
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
) -> Nets:
    """The same with parts that were divided otherwise, as a fold is."""
    claim(folder, recipe, minutes, claimed(start) | taught_of([case.name for case in parts.train]))
    shares = (1.0 - recipe.classifier_share, recipe.classifier_share)
    plans = [
        plan if minutes is None else replace(plan, steps=None, minutes=minutes * share)
        for plan, share in zip((recipe.detector_plan, recipe.classifier_plan), shares, strict=True)
    ]
    detector = _detector(parts, recipe, plans[0], folder / "detector", start)
    keep(detector, folder / "detector.pt")
    classifier = _classifier(parts, recipe, plans[1], folder / "classifier", start)
    keep(classifier, folder / "classifier.pt")
    ages = ages_of(parts.train)
    if is_first():
        (folder / AGES).write_text(json.dumps(ages), encoding="utf-8")
    return Nets(detector, classifier, ages)


def scored(nets: Nets, cases: Sequence[Case], recipe: Recipe) -> tuple[float, float]:
    """AP50 of boxes on slices, and the AUC of sequences cut around their true boxes, of the networks alone."""
    precision = average_precision(_detections(nets.detector.eval(), _examined(cases, recipe.detector.size)))
    scans = [(scan, case.kind == 2) for case in cases for scan in case.scans if len(scan.boxes)]
    margin = recipe.classifier_batches.margin
    said = np.array([_malignant(nets.classifier.eval(), scan, margin) for scan, _ in scans])
    return precision, roc_auc(said, np.array([malignant for _, malignant in scans]))


def ages_of(cases: Sequence[Case]) -> tuple[float, ...]:
    """The age statistics of the patients with a tumour whose age is known."""
    told = [(case.age, case.kind == 2) for case in cases if case.kind and case.age is not None]
    return age_table([age for age, _ in told], [malignant for _, malignant in told])


def load(recipe: Recipe, folder: Path) -> Nets:
    """The trained networks of a run."""
    detector, classifier = Detector(recipe.detector), Classifier(recipe.classifier)
    for name, net in zip(STAGES, (detector, classifier), strict=True):
        path = folder / f"{name}.pt"
        with_weights(net, path)
    return Nets(detector, classifier, tuple(json.loads((folder / AGES).read_text(encoding="utf-8"))))


def spent(folder: Path) -> dict[str, list[int]]:
    """Seconds and steps of both stages of a run."""
    states = [progress_of(folder / name) for name in STAGES]
    return {"seconds": [round(state.seconds) for state in states], "steps": [state.step for state in states]}


def _detector(parts: Parts[Case], recipe: Recipe, plan: Plan, folder: Path, start: Start | None) -> Detector:
    torch.manual_seed(plan.seed)
    drawer = detector_batches.Drawer(parts.train, recipe.detector.size, recipe.detector_batches, plan.seed)
    examined = _examined(parts.validation, recipe.detector.size)

    def loss_of(net: nn.Module, batch: detector_batches.Batch) -> Tensor:
        assert isinstance(net, Detector)  # what went in is what is trained
        return torch.stack(losses(net, batch.image, batch.truth, recipe.detector_loss)).sum()

    def observe(average: nn.Module, step: int, share: float) -> float:
        score = average_precision(_detections(_whole(average, recipe), examined))
        log.info("Step %d, %.0f %%: AP50 on %d validation slices %.3f.", step, 100 * share, len(examined), score)
        return score

    part = recipe.detector_batches.window or recipe.detector.size
    net = Detector(replace(recipe.detector, size=part))
    begin(net, start, STAGES[0], (drawer(step, 0.0).image for step in range(VIEWS)), folder)
    return _whole(fit(net, drawer, loss_of, plan, folder, observe=observe), recipe)


def _whole(trained: nn.Module, recipe: Recipe) -> Detector:
    """The detector of whole images with the weights of one that trained on windows: only its anchors differ."""
    net = Detector(recipe.detector)
    net.load_state_dict(trained.state_dict())
    return net.eval()


def _classifier(parts: Parts[Case], recipe: Recipe, plan: Plan, folder: Path, start: Start | None) -> Classifier:
    torch.manual_seed(plan.seed)
    spec = recipe.classifier_batches
    drawer = classifier_batches.Drawer(parts.train, spec, plan.seed)
    scans = [(scan, case.kind == 2) for case in parts.validation for scan in case.scans if len(scan.boxes)]
    positive = np.array([malignant for _, malignant in scans])

    def loss_of(net: nn.Module, batch: classifier_batches.Crops) -> Tensor:
        said = net(batch.image).class_logits
        return functional.cross_entropy(said, batch.classes, label_smoothing=recipe.classifier_smoothing)

    def observe(average: nn.Module, step: int, share: float) -> float:
        scores = np.array([_malignant(average, scan, spec.margin) for scan, _ in scans])
        score = roc_auc(scores, positive)
        log.info("Step %d, %.0f %%: AUC on %d validation sequences %.3f.", step, 100 * share, len(scans), score)
        return score

    net = Classifier(recipe.classifier)
    begin(net, start, STAGES[1], (drawer(step, 0.0).image for step in range(VIEWS)), folder)
    averaged = fit(net, drawer, loss_of, plan, folder, observe=observe)
    assert isinstance(averaged, Classifier)  # what went in is what is averaged
    return averaged


def _examined(cases: Sequence[Case], size: tuple[int, int]) -> list[Pasted]:
    """Validation slices, evenly chosen."""
    places = [(case, scan, place) for case in cases for scan in case.scans for place in range(len(scan.stack))]
    step = max(1, len(places) // EXAMINED)
    return [detector_batches.looked_at(scan, place, case.kind, size) for case, scan, place in places[::step]]


@torch.no_grad()
def _detections(net: nn.Module, examined: Sequence[Pasted]) -> list[Detected]:
    found = []
    for each in examined:
        said = net(torch.from_numpy(each.image)[None, None])
        scores = 1.0 - said.probabilities[0, :, 0].numpy()
        real = said.probabilities[0].sum(dim=-1).numpy() > 0.5
        found.append(Detected(said.boxes[0].numpy()[real], scores[real], each.boxes))
    return found


@torch.no_grad()
def _malignant(net: nn.Module, scan: Scan, margin: float) -> float:
    box = scan.boxes[largest(scan.boxes)].astype(np.float64)
    image = classifier_batches.cut(scan, box, classifier_batches.chosen(scan, by_index=False), margin)
    return float(net(torch.from_numpy(image)[None]).class_logits.softmax(-1)[0, 1])
