"""The hand system: five kinds of tumour on MR of the hand, slice by slice (hand-deep-ht; MODELS.md §5.2).

The network gives every pixel one of six classes. Their probabilities come back to the source grid; what is any tumour
is cut into bodies in space, and each body has the kinds that its voxels say on average. A study has several series of
one hand. Each is answered on its own grid; where the card asks for it the network sees the others beside it, and what
they say of the same place is one answer (models/hand_fusion.py). What they say of the study is for
models/hand_findings.py.

Legend: volumes `(slices, rows, columns)`; logits and probabilities have the classes in front.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models import masses
from models.card import Bundle, Card, of_kind
from models.findings import Answer, Findings, ModelIdentity
from models.hand_card import CLASSES, ROLE, HandCalibration, HandCard
from models.hand_findings import (
    LEAST,
    Body,
    SeriesAnswer,
    conclude,
    named,
    source,
    study_answer,
    study_notes,
    sure_kind,
)
from models.hand_fusion import Network, joined
from models.hand_input import Stack, prepared, with_neighbours
from models.masses import Mass
from models.nonsense import refuse_constant, refuse_stuck
from models.session import Contract, Session, SessionOptions, open_session
from models.slices import Float, Plan, has_tissue
from models.volume import Volume

BATCH = 8
"""Tiles that go through the network at once."""
DENIED = 0.8
"""A region in which a series alone gives every voxel this probability of a tumour is told where the others deny it and
nothing else is outlined on it: silence would read as normal."""


@dataclass(frozen=True, slots=True)
class Series:
    """One decoded series of a hand."""

    volume: Volume
    role: str = ""
    """Its weighting, by the name of the model's input: "t1"."""
    frame: str = ""
    """Frame of Reference UID."""

    @property
    def stack(self) -> Stack:
        """As the preparation takes it."""
        grid = self.volume.grid
        return Stack(self.volume.voxels, (grid.spacing[1], grid.spacing[2]), self.role, grid, self.frame)


class HandModel:
    """An open hand bundle; see `load`."""

    def __init__(self, card: HandCard, identity: ModelIdentity, net: Session) -> None:
        self.card = card
        self.identity = identity
        self._net = net

    def warm_up(self) -> None:
        """Run the network once on nothing.

        Raises
        ------
        InferenceError
            It loads but does not run here, or says the same whatever it sees.
        """
        asked = self.card.preprocess
        name = f"{self.identity.name} {self.identity.version}"
        refuse_stuck(self._net.run, (len(asked.channels), *asked.size), name)
        self._net.run(np.zeros((BATCH, len(asked.channels), *asked.size), dtype=np.float32))

    def answer(self, series: Sequence[Series], with_maps: bool = False) -> Findings:
        """Findings for the series of one study, whatever their plane and weighting.

        Parameters
        ----------
        with_maps
            Whether the findings hold what the network says of every voxel.

        Raises
        ------
        InferenceError, GeometryError
        """
        if not series:
            raise ValueError("a study without series has no answer")
        timings: dict[str, float] = {}
        answers = self._answers(series, timings, with_maps)
        sources = tuple(source(each.volume, answer, self.card) for each, answer in zip(series, answers, strict=True))
        study = conclude(answers, self.card)
        said = study_answer(study, answers, self.card)
        if all(answer.is_strange(self.card) for answer in answers):
            return Findings(self.identity, said, {}, sources, timings)
        return Findings(
            model=self.identity,
            answer=said,
            probabilities={Answer.NORMAL: 1.0 - study.chance, Answer.TUMOUR: study.chance},
            sources=sources,
            timings_s=timings,
            notes=study_notes(study, self.card),
            kinds={} if study.kinds is None else named(study.kinds),
            kind=sure_kind(study.kinds, self.card),
        )

    def look(self, stacks: Sequence[Stack]) -> Iterator[Network]:
        """Run the network over every slice of each of the series of a hand.

        Raises
        ------
        InferenceError, GeometryError
        """
        for way, channels in prepared(self.card.preprocess, stacks):
            logits = np.empty((len(CLASSES), *channels.shape[1:]), dtype=np.float32)
            strange: list[float] = []
            for index, merged in self._slices(way, channels, strange):
                logits[:, index] = merged
            refuse_constant(logits, channels[: self.card.preprocess.own], f"{self.card.name} {self.card.version}")
            yield Network(way, logits, float(np.median(strange)) if strange else 0.0)

    def _answers(self, series: Sequence[Series], timings: dict[str, float], with_maps: bool) -> list[SeriesAnswer]:
        made, marks = [], [time.perf_counter()]
        stacks = [each.stack for each in series]
        looked = list(self.look(stacks))
        marks.append(time.perf_counter())
        joint = joined(stacks, looked, self.card.calibration.fusion, self.card.thresholds.unlike)
        for each, alone, said in zip(series, looked, joint, strict=True):
            probabilities = classes(said.way, said.logits, self.card.calibration)
            answer = examine(probabilities, each.volume.grid.voxel_mm3, self.card)
            if said is not alone:
                answer = beside_others(answer, classes(alone.way, alone.logits, self.card.calibration), self.card)
            tumour = probabilities.tumour if with_maps else None
            made.append(replace(answer, strangeness=said.strangeness, tumour=tumour))
        marks.append(time.perf_counter())
        timings |= dict(zip(("inference", "postprocess"), np.diff(marks).tolist(), strict=True))
        return made

    def _slices(self, way: Plan, channels: Float, strange: list[float]) -> Iterator[tuple[int, Float]]:
        """Slice by slice the logits `(classes, *way.padded)`; how strange each inner tile is goes into `strange`."""
        answers: dict[int, list[tuple[tuple[int, int], Float]]] = {}
        tiles, asked = list(way.inputs(channels, 0)), with_neighbours(channels.shape[1])
        own = self.card.preprocess.own
        for first in range(0, len(tiles), BATCH):
            batch = tiles[first : first + BATCH]
            said = self._net.run(np.stack([tile for _, _, tile in batch]))
            if self.card.thresholds.unlike is not None:
                pairs = zip(batch, said["strangeness"], strict=True)
                strange += [
                    float(value[0]) for (place, _, tile), value in pairs if place in asked and has_tissue(tile[:own])
                ]
            for (index, corner, _), answer in zip(batch, said["mask_logits"], strict=True):
                answers.setdefault(index, []).append((corner, answer))
                if len(answers[index]) == len(way.tiles):
                    done = answers.pop(index)
                    each = [way.merged([(place, said_[k]) for place, said_ in done]) for k in range(len(CLASSES))]
                    yield index, np.stack(each)


@dataclass(frozen=True, slots=True)
class Classes:
    """Probabilities `(classes, slices, rows, columns)` on the padded grid of the network, and the way back."""

    way: Plan
    values: Float

    @property
    def tumour(self) -> Float:
        """That a voxel is any tumour, on the source grid."""
        return self.way.restored(1.0 - self.values[0])

    def of(self, number: int) -> Float:
        """One class, on the source grid."""
        return self.way.restored(self.values[number])


def classes(way: Plan, logits: Float, asked: HandCalibration) -> Classes:
    """Calibrated probabilities from logits, both on the padded grid."""
    grown = logits / np.float32(asked.temperature)
    grown[0] += np.float32(asked.background_bias)
    grown -= grown.max(axis=0)
    np.exp(grown, out=grown)
    grown /= grown.sum(axis=0)
    return Classes(way, grown)


def examine(said: Classes, voxel_mm3: float, card: HandCard) -> SeriesAnswer:
    """Bodies and their kinds, from the probabilities of one series. Pure."""
    thresholds, tumour = card.thresholds, said.tumour
    least = max(1.0, thresholds.region_min_mm3 / voxel_mm3)
    found = [
        (mass, chance)
        for mass in masses.masses(tumour >= thresholds.mask, least)
        if (chance := _mean(tumour, mass)) >= thresholds.region
    ]
    if not found:
        return SeriesAnswer((), _most_suspicious(tumour, least), least)
    kinds = np.zeros((len(found), len(CLASSES) - 1))
    for number in range(1, len(CLASSES)):
        volume = said.of(number)
        kinds[:, number - 1] = [_mean(volume, mass) for mass, _ in found]
    kinds = np.maximum(kinds, LEAST)
    kinds /= kinds.sum(axis=1, keepdims=True)
    bodies = tuple(Body(mass, chance, each) for (mass, chance), each in zip(found, kinds, strict=True))
    return SeriesAnswer(bodies, max(body.chance for body in bodies), least)


def beside_others(joint: SeriesAnswer, alone: Classes, card: HandCard) -> SeriesAnswer:
    """The answer of a series with the others, and where it differs from what the series alone says. Pure.

    Parameters
    ----------
    joint
        Of the series with the others (models/hand_fusion.py).
    alone
        The probabilities of the series itself.
    """
    tumour = alone.tumour
    if joint.bodies:
        return replace(joint, lent=sum(_mean(tumour, body.mass) < card.thresholds.mask for body in joint.bodies))
    return replace(joint, denied=len(masses.masses(tumour >= max(DENIED, card.thresholds.mask), joint.least)))


def load(bundle: Bundle[Card], options: SessionOptions | None = None) -> HandModel:
    """Open the network of a verified bundle.

    Raises
    ------
    ContractError
        The bundle is of another system, or the network does not fit its card.
    RuntimeMissingError, ProviderError, InferenceError
    """
    card = of_kind(bundle, HandCard).card
    net = open_session(bundle.files[ROLE], str(bundle.folder / card.files[ROLE].path), contract(card), options)
    identity = ModelIdentity(
        card.system, card.name, card.version, bundle.weights_sha256, net.provider, card.training_kind
    )
    return HandModel(card, identity, net)


def contract(card: HandCard) -> Contract:
    """What the network of a card must say, take and give."""
    size = card.preprocess.size
    given: dict[str, tuple[int, ...]] = {"mask_logits": (len(CLASSES), *size)}
    if card.thresholds.unlike is not None:
        given["strangeness"] = (1,)
    return Contract(card.contract(ROLE), "image", (len(card.preprocess.channels), *size), given)


def _mean(volume: Float, mass: Mass) -> float:
    return float(volume[mass.box][mass.mask].mean(dtype=np.float64))


def _most_suspicious(probability: Float, voxels: float) -> float:
    """The mean of as many voxels as the smallest region has, those most like a tumour."""
    count = min(probability.size, max(1, round(voxels)))
    flat = probability.ravel()
    return float(np.partition(flat, flat.size - count)[-count:].mean(dtype=np.float64))
