"""The systems limb and diffusion: one network over the slices of an MR stack, calibrated, cut into tumours.

What the network sees is prepared by models/slices.py, the same in training. Probabilities of voxels come back to the
source grid before anything is decided or measured there.

Legend: volumes `(slices, rows, columns)`; channels `(channels, slices, rows, columns)`.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from models import diffusion, masses
from models.card import Bundle, Card, of_kind
from models.diffusion import AdcMap
from models.errors import ContractError, GeometryError
from models.findings import (
    Answer,
    Findings,
    Lesion,
    Maps,
    Measurement,
    MeasurementKind,
    ModelIdentity,
    SourceFindings,
    Spacing,
    SpacingSource,
    Unit,
)
from models.masses import MAX_MASSES, Mass
from models.nonsense import refuse_constant, refuse_stuck
from models.session import Contract, Session, SessionOptions, open_session
from models.slices import SCALINGS, Float, has_tissue, plan, scaled_adc
from models.stack_card import ADC, HIGH, LOW, MORE, ROLE, StackCard
from models.strangers import unassessed
from models.volume import Volume

BATCH = 8
"""Tiles that go through the network at once."""
ADC_PER_UNIT = 1000.0
"""From 1e-3 mm2/s to the 10-6 mm2/s of results."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What is given to the network, and the source that results belong to."""

    source: Volume
    channels: Float
    """`(channels, slices, rows, columns)` on the grid of the source, scaled as the card says; air is 0."""
    adc: AdcMap | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Looked:
    """What the network says of a stack."""

    probability: Float
    """Of tumour, calibrated, of every voxel, on the source grid."""
    strangeness: float
    """How unlike the training images its slices are, in units of their mean: the middle one; 0 where nobody says."""


def prepared(card: StackCard, volumes: Mapping[str, Volume], b_values: Mapping[str, float] | None = None) -> Stack:
    """The channels of a card from the volumes of its needs.

    Parameters
    ----------
    volumes
        By the name of the need. Results belong to the first of the card's channels that is an image of its own, the
        high b-value before the low one.
    b_values
        Of the needs "low" and "high", and of the stacks of "more".

    Raises
    ------
    GeometryError
        The volumes do not lie on one grid, one is missing, or the b-values give no ADC.
    DecodeError, SignalError
        The pixels give no ADC; see models.diffusion.check_pair.
    """
    source = _source(card, volumes)
    for name, each in volumes.items():
        if not each.grid.is_that_of(source.grid):
            raise GeometryError(
                f"The series for {name} lies on other voxels than the one that results belong to: {each.grid.shape} at "
                f"{_mm(each)} against {source.grid.shape} at {_mm(source)}. They cannot be analysed together."
            )
    adc, notes = _adc(volumes, b_values or {})
    channels = []
    for name in card.channels:
        if name == ADC and adc is not None:
            channels.append(scaled_adc(adc.values))
        elif name in volumes:
            channels.append(SCALINGS[card.preprocess.normalisation](volumes[name].voxels))
        else:
            raise GeometryError(f"{card.name} {card.version} needs {name}, which did not come. Send the series for it.")
    told = dict.fromkeys(note for each in volumes.values() for note in each.notes)
    return Stack(source, np.stack(channels), adc, (*told, *notes))


def _source(card: StackCard, volumes: Mapping[str, Volume]) -> Volume:
    order = sorted(card.channels, key=lambda name: (name == LOW, name == ADC))
    for name in (*order, *volumes):
        if name in volumes:
            return volumes[name]
    raise GeometryError(f"No series came that {card.name} {card.version} takes.")


def _mm(volume: Volume) -> str:
    return " x ".join(f"{side:.3g}" for side in volume.grid.spacing) + " mm"


def _adc(volumes: Mapping[str, Volume], b_values: Mapping[str, float]) -> tuple[AdcMap | None, tuple[str, ...]]:
    """Ours from a pair of b-values, or from a pair and more; the scanner's where there is no pair."""
    if {LOW, HIGH} <= volumes.keys() and {LOW, HIGH} <= b_values.keys():
        made = diffusion.two_point(volumes[LOW].voxels, volumes[HIGH].voxels, b_values[LOW], b_values[HIGH])
        diffusion.check_pair(volumes[LOW].voxels, made)
        names = fitted(b_values)
        if len(names) > 2:
            made = diffusion.log_linear([volumes[name].voxels for name in names], [b_values[name] for name in names])
        told = ", ".join(f"{b_values[name]:g}" for name in names)
        return made, (f"ADC values were computed from the b-values {told} s/mm2.",)
    if ADC in volumes:
        given, sentence = diffusion.of_vendor(volumes[ADC].voxels, volumes[ADC].unit)
        return given, (sentence,)
    return None, ()


def fitted(b_values: Mapping[str, float]) -> tuple[str, ...]:
    """The names of the stacks that an ADC is fitted through, by rising b-value: the pair, and what more there is."""
    names = [name for name in b_values if name in (LOW, HIGH) or is_more(name)]
    return tuple(sorted(names, key=lambda name: b_values[name]))


def is_more(name: str) -> bool:
    """Whether an input is one of the further b-values: "more", "more (2)"."""
    return name.partition(" ")[0] == MORE


class StackModel:
    """An open bundle of the limb or the diffusion system; see `load`."""

    def __init__(self, card: StackCard, identity: ModelIdentity, net: Session) -> None:
        self.card = card
        self.identity = identity
        self._net = net

    def behind(self, card: StackCard) -> "StackModel":
        """The same network with the thresholds and the calibration of another card."""
        return StackModel(card, self.identity, self._net)

    def warm_up(self) -> None:
        """Run the network once on nothing, and see that what it says depends on the image.

        Raises
        ------
        InferenceError
            It loads but does not run here, or an output is stuck.
        """
        shape = (self.card.input_channels, *self.card.preprocess.size)
        refuse_stuck(self._net.run, shape, f"{self.identity.name} {self.identity.version}")
        self._net.run(np.zeros((BATCH, *shape), dtype=np.float32))

    def answer(self, stack: Stack, with_maps: bool = False) -> Findings:
        """Findings for one stack.

        Parameters
        ----------
        with_maps
            Whether the findings hold what the network says of every voxel.

        Raises
        ------
        InferenceError, GeometryError
        """
        marks = [time.perf_counter()]
        looked = self.look(stack)
        marks.append(time.perf_counter())
        found = self.findings(stack, looked.probability, looked.strangeness)
        if with_maps and found.answer is not Answer.NOT_ASSESSED:
            found = replace(found, maps=Maps(looked.probability))
        marks.append(time.perf_counter())
        timings = dict(zip(("inference", "postprocess"), np.diff(marks).tolist(), strict=True))
        return Findings(self.identity, found.answer, found.probabilities, (found,), timings)

    def probability(self, stack: Stack) -> Float:
        """The calibrated probability of tumour of every voxel, on the source grid."""
        return self.look(stack).probability

    def look(self, stack: Stack) -> Looked:
        """Run the network over every slice."""
        grid = stack.source.grid
        way = plan((grid.shape[1], grid.shape[2]), grid.spacing[1:], self.card.preprocess.spacing_mm, self._size)
        channels = np.stack([way.resampled(channel) for channel in stack.channels])
        logits = np.empty(channels.shape[1:], dtype=np.float32)
        waiting: list[tuple[int, tuple[int, int], Float]] = []
        answers: dict[int, list[tuple[tuple[int, int], Float]]] = {}
        last = grid.shape[0] * len(way.tiles)
        strange: list[float] = []
        for number, each in enumerate(way.inputs(channels, self.card.preprocess.neighbours), start=1):
            waiting.append(each)
            if len(waiting) < BATCH and number < last:
                continue
            outputs = self._net.run(np.stack([tile for _, _, tile in waiting]))
            if self.card.thresholds.unlike is not None:
                pairs = zip(waiting, outputs["strangeness"], strict=True)
                strange += [float(value[0]) for (_, _, tile), value in pairs if has_tissue(tile)]
            for (index, corner, _), answer in zip(waiting, outputs["mask_logits"], strict=True):
                answers.setdefault(index, []).append((corner, answer[0]))
            waiting.clear()
            for index in [index for index, tiles in answers.items() if len(tiles) == len(way.tiles)]:
                logits[index] = way.merged(answers.pop(index))
        refuse_constant(logits, channels, f"{self.identity.name} {self.identity.version}")
        calibration = self.card.calibration
        logits = logits / np.float32(calibration.temperature) + np.float32(calibration.bias)
        probability = way.restored(np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float32))
        return Looked(probability, float(np.median(strange)) if strange else 0.0)

    def findings(self, stack: Stack, probability: Float, strangeness: float = 0.0) -> SourceFindings:
        """Tumours, measurements and the answer, from the probability of every voxel."""
        grid, thresholds = stack.source.grid, self.card.thresholds
        if thresholds.unlike is not None and strangeness > thresholds.unlike:
            found = unassessed(stack.source, strangeness, thresholds.unlike)
            return replace(found, notes=(*stack.notes, found.notes[-1]))
        least = max(1.0, thresholds.region_min_mm3 / grid.voxel_mm3)
        bodies = [
            (mass, chance)
            for mass in masses.masses(probability >= thresholds.mask, least)
            if (chance := _mean(probability, mass)) >= thresholds.tumour
        ]
        chance = max((each for _, each in bodies), default=_most_suspicious(probability, least))
        answer, sentence = _answer(chance, len(bodies), thresholds.tumour)
        notes = [*stack.notes, *([sentence] if sentence else [])]
        if len(bodies) == MAX_MASSES:
            notes.append(f"Only the {MAX_MASSES} largest regions are listed.")
        return SourceFindings(
            series_instance_uid=stack.source.series_instance_uid,
            images=stack.source.images,
            answer=answer,
            probabilities={Answer.NORMAL: 1.0 - chance, Answer.TUMOUR: chance},
            mask=masses.paint([mass for mass, _ in bodies], grid.shape),
            spacing=Spacing(grid.spacing[1], grid.spacing[2], SpacingSource.CALIBRATED),
            lesions=tuple(
                _lesion(number, mass, chance, stack) for number, (mass, chance) in enumerate(bodies, start=1)
            ),
            notes=tuple(notes),
        )

    @property
    def _size(self) -> tuple[int, int]:
        return self.card.preprocess.size


def load(bundle: Bundle[Card], options: SessionOptions | None = None) -> StackModel:
    """Open the network of a verified bundle.

    Raises
    ------
    ContractError
        The bundle is of another system, or the network does not fit its card.
    RuntimeMissingError, ProviderError, InferenceError
    """
    card = of_kind(bundle, StackCard).card
    if set(card.files) != {ROLE}:
        raise ContractError(
            f"{bundle.folder} has the files {', '.join(card.files)}; a bundle of {card.system} has one, {ROLE!r}. Name "
            "another bundle in the configuration."
        )
    net = open_session(bundle.files[ROLE], str(bundle.folder / card.files[ROLE].path), contract(card), options)
    identity = ModelIdentity(
        card.system, card.name, card.version, bundle.weights_sha256, net.provider, card.training_kind
    )
    return StackModel(card, identity, net)


def contract(card: StackCard) -> Contract:
    """What the network of a card must say, take and give."""
    size = card.preprocess.size
    outputs: dict[str, tuple[int, ...]] = {"mask_logits": (1, *size)}
    if card.thresholds.unlike is not None:
        outputs["strangeness"] = (1,)
    return Contract(card.contract(ROLE), "image", (card.input_channels, *size), outputs)


def _mean(volume: Float, mass: Mass) -> float:
    return float(volume[mass.box][mass.mask].mean(dtype=np.float64))


def _most_suspicious(probability: Float, voxels: float) -> float:
    """The mean of as many voxels as the smallest region has, those most like a tumour."""
    count = min(probability.size, max(1, round(voxels)))
    flat = probability.ravel()
    return float(np.partition(flat, flat.size - count)[-count:].mean(dtype=np.float64))


def _answer(chance: float, bodies: int, threshold: float) -> tuple[Answer, str | None]:
    if bodies:
        return Answer.TUMOUR, None
    if chance < threshold:
        return Answer.NORMAL, None
    return Answer.UNDECIDED, (
        f"Some voxels read as tumour (probability {chance:.0%}), but no region of them is as large, and on the whole "
        "as sure, as one must be: look at the whole series."
    )


def _lesion(number: int, mass: Mass, chance: float, stack: Stack) -> Lesion:
    grid = stack.source.grid
    sizes = masses.measurements(mass, grid)
    if stack.adc is not None:
        valid = mass.mask & stack.adc.valid[mass.box]
        if valid.any():
            mean = float(stack.adc.values[mass.box][valid].mean(dtype=np.float64))
            sizes = (*sizes, Measurement(MeasurementKind.MEAN_ADC, mean * ADC_PER_UNIT, Unit.ADC))
    return Lesion(
        number=number,
        answer=Answer.TUMOUR,
        probability=chance,
        malignant_probability=None,
        measurements=sizes,
        outlines=masses.outlines(mass, stack.source.images, (grid.shape[1], grid.shape[2])),
    )
