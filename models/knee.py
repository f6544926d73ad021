"""The knee system: global and patch network on one radiograph, fused to one answer (knee-seg-unet; MODELS.md §5.3).

The global network sees the whole image squeezed to its input size. The patch network sees nine windows of half the
side, overlapping by half, each at twice that resolution. Their tumour maps meet on a grid of twice the input size (A5),
their classes as vectors (A6), and the fused classes are calibrated as the card says.

Legend: images and maps `(rows, columns)`; classes `(3,)`: normal, benign, malignant; distance `(5, rows, columns)`.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models import patches, verdict
from models.card import Bundle, Card, contract_of, of_kind
from models.errors import ContractError
from models.findings import (
    Answer,
    Findings,
    ImageRef,
    Lesion,
    Maps,
    ModelIdentity,
    Outline,
    SourceFindings,
    Spacing,
    SpacingSource,
)
from models.fusion import calibrate, fuse_classes, fuse_masks
from models.grid import likeliest_on, mask_on, spread_on
from models.images import Radiograph
from models.knee_card import SYSTEM, KneeCard
from models.nonsense import refuse_constant, refuse_stuck
from models.pixels import normalise, resize
from models.regions import MAX_REGIONS, Region, measurements, outline, paint, regions
from models.session import Contract, Session, SessionOptions, open_session

ROLES = ("global", "patch")
LEVELS = 5
"""Distance levels: background, tumour, and three rings from near to far (appendix A2)."""
_REGION_GRID = 256 * 256
AT_ONCE = 3
"""Windows in one run of the patch network: all nine take 50 MB more, and hardly less time."""

Float = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]


class KneeImage(NamedTuple):
    """One radiograph of a study, with what must be said of it."""

    ref: ImageRef
    series_instance_uid: str
    radiograph: Radiograph
    spacing: Spacing
    notes: tuple[str, ...] = ()
    """Sentences about the spacing (models/spacing.py) or from the header, passed on to the reader."""


@dataclass(frozen=True, slots=True)
class KneeAnswer:
    """What the two networks say of one image, before it is cut into regions."""

    probabilities: Vector
    """Fused (A6) and calibrated."""
    raw: Vector
    """Fused, not calibrated."""
    whole: Vector
    """The global network's classes."""
    windows: Vector
    """`(windows, 3)`: the patch network's classes, in the order of `patches.windows`."""
    tumour: Float
    """Fused probability of tumour (A5), on a grid of twice the input size that covers the whole image."""
    distance: Float
    """The global network's distance levels as probabilities, on the input size."""
    strangeness: float
    """How unlike the training images the image is, in units of their mean."""


@dataclass(frozen=True, slots=True)
class Examination:
    """One image's findings with the maps behind them."""

    findings: SourceFindings
    answer: KneeAnswer | None
    """None where the image was not assessed."""
    timings_s: Mapping[str, float]


class Knee:
    """An open knee bundle; see `load`."""

    def __init__(self, card: KneeCard, identity: ModelIdentity, whole: Session, patch: Session) -> None:
        self.card = card
        self.identity = identity
        self._whole = whole
        self._patch = patch

    def warm_up(self) -> None:
        """Run both networks once: the first run of a session plans its memory, and shows an output that is stuck.

        Raises
        ------
        InferenceError
            The networks load but do not run here, or what they say does not depend on the image.
        """
        for role, net in zip(ROLES, (self._whole, self._patch), strict=True):
            name = f"{self.identity.name} {self.identity.version}, {role},"
            refuse_stuck(net.run, (1, *self.card.preprocess.size), name)
        self.infer(np.zeros(self.card.preprocess.size, dtype=np.float32))

    def answer(
        self, images: Sequence[KneeImage | tuple[ImageRef, str, Radiograph, Spacing]], with_maps: bool = False
    ) -> Findings:
        """Findings for a study of one or more radiographs; the most suspicious image speaks for the study.

        Parameters
        ----------
        with_maps
            Whether the findings hold what the networks say of every pixel.

        Raises
        ------
        InferenceError
            A network broke or gave numbers that are no numbers; then nothing is said of the study.
        """
        if not images:
            raise ValueError("a study without images has no answer")
        done = [self.examine(KneeImage(*image), with_maps) for image in images]
        sources = tuple(each.findings for each in done)
        spoken = [(source.answer, _tumour(source.probabilities)) for source in sources]
        stages = sorted({stage for each in done for stage in each.timings_s})
        return Findings(
            model=self.identity,
            answer=verdict.study_answer([answer for answer, _ in spoken]),
            probabilities=sources[verdict.most_suspicious(spoken)].probabilities,
            sources=sources,
            timings_s={stage: sum(each.timings_s.get(stage, 0.0) for each in done) for stage in stages},
        )

    def examine(self, image: KneeImage, with_maps: bool = False) -> Examination:
        """Findings for one radiograph, with the maps they come from."""
        pixels = image.radiograph.pixels
        least = self.card.input.min_side_px
        if min(pixels.shape) < least:
            note = f"Not assessed: the image has {pixels.shape[0]} x {pixels.shape[1]} pixels, the model needs {least}."
            return Examination(_unassessed(image, note), None, {})
        timings: dict[str, float] = {}
        answer = self.infer(pixels, timings)
        started = time.perf_counter()
        findings = self._findings(image, answer)
        if with_maps and findings.answer is not Answer.NOT_ASSESSED:
            findings = replace(findings, maps=_maps(image.radiograph, answer))
        timings["postprocess"] = time.perf_counter() - started
        return Examination(findings, answer, timings)

    def infer(self, pixels: Float, timings_s: dict[str, float] | None = None) -> KneeAnswer:
        """Both networks and their fusion, on one image of any size.

        Parameters
        ----------
        pixels
            Any range, bright bone, finite.
        timings_s
            Filled with the seconds of "preprocess", "inference" and "fusion" when given.
        """
        marks = [time.perf_counter()]
        size = self.card.preprocess.size
        places = patches.windows(*pixels.shape)
        whole_input, patch_inputs = _inputs(pixels, places, size)
        marks.append(time.perf_counter())
        whole, patch = self._whole.run(whole_input[None, None]), self._looked(patch_inputs)
        marks.append(time.perf_counter())
        for said, given in ((whole, whole_input), (patch, patch_inputs)):
            refuse_constant(said["mask_logits"], given, f"{self.identity.name} {self.identity.version}")
        answer = self._fused(whole, patch)
        marks.append(time.perf_counter())
        if timings_s is not None:
            timings_s.update(zip(("preprocess", "inference", "fusion"), np.diff(marks).tolist(), strict=True))
        return answer

    def _looked(self, windows: Float) -> dict[str, Float]:
        """What the patch network says of each window."""
        rows = [self._patch.run(windows[place : place + AT_ONCE, None]) for place in range(0, len(windows), AT_ONCE)]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def _fused(self, whole: Mapping[str, Float], patch: Mapping[str, Float]) -> KneeAnswer:
        thresholds = self.card.thresholds
        rows, columns = self.card.preprocess.size
        grid = (2 * rows, 2 * columns)
        maps = _sigmoid(patch["mask_logits"][:, 0])
        tumour = fuse_masks(
            resize(_sigmoid(whole["mask_logits"][0, 0]), grid),
            patches.merge(maps, grid),
            thresholds.mask,
            thresholds.beta,
        )
        classes, windows = _softmax(whole["class_logits"])[0], _softmax(patch["class_logits"])
        least = thresholds.region_min_px * rows * columns / _REGION_GRID * 4  # a window shows a quarter of the image
        holds_tumour = np.count_nonzero(maps >= thresholds.mask, axis=(1, 2)) >= max(1.0, least)
        raw = self._fused_classes(classes, windows, holds_tumour)
        return KneeAnswer(
            probabilities=self._calibrated(raw),
            raw=raw,
            whole=classes,
            windows=windows,
            tumour=tumour,
            distance=_softmax(whole["distance_logits"])[0].astype(np.float32),
            strangeness=float(whole["strangeness"][0, 0]),
        )

    def _fused_classes(self, whole: Vector, windows: Vector, chosen: npt.NDArray[np.bool_]) -> Vector:
        merged = patches.merge_classes(windows, chosen)
        return fuse_classes(whole, merged, self.card.thresholds.normal_total, self.card.thresholds.beta)

    def _calibrated(self, raw: Vector) -> Vector:
        return calibrate(raw, self.card.calibration.temperature, self.card.calibration.bias)

    def _findings(self, image: KneeImage, answer: KneeAnswer) -> SourceFindings:
        shape = image.radiograph.pixels.shape
        thresholds = self.card.thresholds
        if answer.strangeness > thresholds.unlike:
            note = (
                f"Not assessed: the image is unlike those that the model was trained on (strangeness "
                f"{answer.strangeness:.1f}, the limit is {thresholds.unlike:.1f}). Read it without the model."
            )
            return _unassessed(image, note)
        reads_as_tumour = answer.probabilities[1] + answer.probabilities[2] >= thresholds.tumour
        mask = mask_on(answer.tumour, shape, thresholds.mask if reads_as_tumour else thresholds.mask_alone)
        if image.radiograph.valid is not None:
            mask &= image.radiograph.valid
        found = regions(mask, self._least_pixels(shape, image.spacing))
        lesions = tuple(self._lesion(number, region, image, answer) for number, region in enumerate(found, start=1))
        said, sentence = verdict.image_answer(answer.probabilities, len(found), thresholds.tumour, thresholds.certain)
        notes = [*image.radiograph.notes, *image.notes, *([sentence] if sentence else [])]
        if len(found) == MAX_REGIONS:
            notes.append(f"Only the {MAX_REGIONS} largest regions are listed.")
        return SourceFindings(
            series_instance_uid=image.series_instance_uid,
            images=(image.ref,),
            answer=said,
            probabilities=verdict.named(answer.probabilities),
            mask=paint(found, shape)[None],
            spacing=image.spacing,
            lesions=lesions,
            notes=tuple(notes),
        )

    def _least_pixels(self, shape: tuple[int, int], spacing: Spacing) -> float:
        """The smallest region in source pixels: by surface where millimetres are known, else by share of the image."""
        thresholds = self.card.thresholds
        if spacing.source is SpacingSource.UNKNOWN:
            return max(1.0, thresholds.region_min_px * shape[0] * shape[1] / _REGION_GRID)
        return max(1.0, thresholds.region_min_mm2 / (spacing.row_mm * spacing.column_mm))

    def _lesion(self, number: int, region: Region, image: KneeImage, answer: KneeAnswer) -> Lesion:
        """One region, with the classes of the image as seen through the windows that hold it."""
        chosen = _holding(region, patches.windows(*image.radiograph.pixels.shape))
        classes = self._calibrated(self._fused_classes(answer.whole, answer.windows, chosen))
        points = outline(region)
        return Lesion(
            number=number,
            answer=verdict.lesion_answer(classes, self.card.thresholds.tumour, self.card.thresholds.certain),
            probability=float(classes[1] + classes[2]),
            malignant_probability=float(classes[2]),
            measurements=measurements(region, image.spacing),
            outlines=(Outline(image.ref.sop_instance_uid, image.ref.frame, points),),
            levels=_levels(region, answer.distance, image.radiograph.pixels.shape),
        )


def load(bundle: Bundle[Card], options: SessionOptions | None = None) -> Knee:
    """Open both networks of a verified bundle.

    Raises
    ------
    ContractError
        The bundle is of another system, or a network does not fit its card.
    RuntimeMissingError, ProviderError, InferenceError
    """
    card = of_kind(bundle, KneeCard).card
    if set(card.files) != set(ROLES) or card.classes != tuple(verdict.CLASSES):
        raise ContractError(
            f"{bundle.folder} is {card.system!r} with the files {', '.join(card.files)} and the classes "
            f"{', '.join(card.classes)}; a knee bundle is {SYSTEM!r} with {' and '.join(ROLES)} and "
            f"{', '.join(verdict.CLASSES)}. Name another bundle in the configuration."
        )
    sessions = [
        open_session(bundle.files[role], str(bundle.folder / card.files[role].path), contract(card, role), options)
        for role in ROLES
    ]
    identity = ModelIdentity(
        system=card.system,
        name=card.name,
        version=card.version,
        weights_sha256=bundle.weights_sha256,
        provider=" + ".join(dict.fromkeys(session.provider for session in sessions)),
        training_data=card.training_kind,
    )
    return Knee(card, identity, *sessions)


def contract(card: Card, role: str) -> Contract:
    """What the file for `role` ("global", "patch") must take and give."""
    rows, columns = card.preprocess.size
    outputs: dict[str, tuple[int, ...]] = {
        "class_logits": (len(verdict.CLASSES),),
        "mask_logits": (1, rows, columns),
        "distance_logits": (LEVELS, rows, columns),
    }
    if role == ROLES[0]:
        outputs["strangeness"] = (1,)
    return Contract(contract_of(card, role), "image", (1, rows, columns), outputs)


def _inputs(pixels: Float, places: Sequence[patches.Window], size: tuple[int, int]) -> tuple[Float, Float]:
    """The whole image, and each window, brought to the input size."""
    grey = normalise(pixels)
    windows = [resize(grey[top:bottom, left:right], size) for top, bottom, left, right in places]
    return resize(grey, size), np.stack(windows)


def _maps(radiograph: Radiograph, answer: KneeAnswer) -> Maps:
    """The fused tumour map and the distance levels on every pixel, 0 where a shutter hides it."""
    shape = radiograph.pixels.shape
    probability, levels = spread_on(answer.tumour, shape), likeliest_on(answer.distance, shape)
    if radiograph.valid is not None:
        probability[~radiograph.valid], levels[~radiograph.valid] = 0.0, 0
    return Maps(probability[None], levels[None])


def _levels(region: Region, distance: Float, shape: tuple[int, int]) -> tuple[float, ...]:
    """The mean probability of each distance level over the pixels of a region, each taken from the cell it lies in."""
    rows, columns = np.nonzero(region.mask)
    down = (rows + region.row) * distance.shape[1] // shape[0]
    across = (columns + region.column) * distance.shape[2] // shape[1]
    return tuple(distance[:, down, across].mean(axis=1, dtype=np.float64).tolist())


def _holding(region: Region, places: Sequence[patches.Window]) -> npt.NDArray[np.bool_]:
    """Which windows hold at least half of the region; where none does, the one that holds most of it."""
    shares = np.array([_share(region, place) for place in places])
    return np.asarray((shares >= 0.5) | (shares == shares.max()))


def _share(region: Region, place: patches.Window) -> float:
    top, bottom, left, right = place
    rows = slice(max(0, top - region.row), max(0, bottom - region.row))
    columns = slice(max(0, left - region.column), max(0, right - region.column))
    return float(np.count_nonzero(region.mask[rows, columns])) / region.pixels


def _unassessed(image: KneeImage, note: str) -> SourceFindings:
    return SourceFindings(
        series_instance_uid=image.series_instance_uid,
        images=(image.ref,),
        answer=Answer.NOT_ASSESSED,
        probabilities={},
        mask=np.zeros((1, *image.radiograph.pixels.shape), dtype=np.uint8),
        spacing=image.spacing,
        lesions=(),
        notes=(*image.radiograph.notes, *image.notes, note),
    )


def _tumour(probabilities: Mapping[Answer, float]) -> float:
    return probabilities.get(Answer.BENIGN, 0.0) + probabilities.get(Answer.MALIGNANT, 0.0)


def _sigmoid(logits: Float) -> Float:
    """Without overflow at either end."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float32)


def _softmax(logits: Float) -> Vector:
    """Over axis 1."""
    grown = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))
