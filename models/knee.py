"""The knee system: global and patch network on one radiograph, fused to one answer (knee-seg-unet; MODELS.md §5.3).

The global network sees the whole image squeezed to its input size. The patch network sees overlapping windows: nine of
half the side, each at twice that resolution, or such as slide over the image at its own resolution, as the card says
(models/patches.py). Their tumour maps meet on a grid of twice the input size or on the image's own (A5), their classes
as vectors (A6), and the fused classes are calibrated as the card says.

Legend: images and maps `(rows, columns)`; classes `(3,)`: normal, benign, malignant; distance `(5, rows, columns)`.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models import knee_patch, patches, verdict
from models.card import Bundle, Card, contract_of, of_kind
from models.cut import LEAST_EXPECTED, Cut, best_cut
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
from models.grid import likeliest_on, mask_on, nearest_on, spread_on
from models.images import Radiograph
from models.knee_card import SYSTEM, KneeCard
from models.knee_patch import MAX_WINDOWS, Seen, Stages, sigmoid, softmax
from models.nonsense import refuse_constant, refuse_stuck
from models.pixels import normalise, resize
from models.regions import MAX_REGIONS, Region, measurements, outline, paint, regions
from models.session import Contract, Session, SessionOptions, open_session

ROLES = ("global", "patch")
LEVELS = 5
"""Distance levels: background, tumour, and three rings from near to far (appendix A2)."""
_REGION_GRID = 256 * 256
ROUGH = (
    "The outline is rough: on validation images where the model was as unsure of it, outlines overlapped those of a "
    "reader by {:.2f} on average (Dice; 1 is the same)."
)

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
    """`(windows, 3)`: the patch network's classes, in the order of `patches.tiling`."""
    tumour: Float
    """Fused probability of tumour (A5), on the grid of `patches.tiling`, which covers the whole image."""
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
        note = self._unfit(pixels.shape)
        if note is not None:
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
        stages, size = Stages(), self.card.preprocess.size
        name = f"{self.identity.name} {self.identity.version}"
        with stages.of("preprocess"):
            grey = normalise(pixels)
            shown = resize(grey, size)
        with stages.of("inference"):
            whole = self._whole.run(shown[None, None])
        refuse_constant(whole["mask_logits"], shown, name)
        tiling = self._tiling(grey.shape)
        seen = knee_patch.look(self._patch.run, grey, tiling, size, self.card.thresholds.mask, stages, name)
        with stages.of("fusion"):
            answer = self._fused(whole, seen, grey.shape)
        if timings_s is not None:
            timings_s.update(stages.seconds)
        return answer

    def _tiling(self, shape: tuple[int, int]) -> patches.Tiling:
        return patches.tiling(shape, self.card.preprocess.size, self.card.preprocess.window_px)

    def _unfit(self, shape: tuple[int, int]) -> str | None:
        """Why an image of this shape is not assessed."""
        least = self.card.input.min_side_px
        if min(shape) < least:
            return f"Not assessed: the image has {shape[0]} x {shape[1]} pixels, the model needs {least}."
        count = len(self._tiling(shape).places)
        if count > MAX_WINDOWS:
            return (
                f"Not assessed: the image has {shape[0]} x {shape[1]} pixels, which are {count} windows; the model "
                f"looks at {MAX_WINDOWS} at most. Read it without the model."
            )
        return None

    def _fused(self, whole: Mapping[str, Float], seen: Seen, shape: tuple[int, int]) -> KneeAnswer:
        thresholds = self.card.thresholds
        grid: tuple[int, int] = seen.tumour.shape
        of_whole = resize(sigmoid(whole["mask_logits"][0, 0]), grid)
        tumour = fuse_masks(of_whole, seen.tumour, thresholds.mask, thresholds.beta)
        classes = softmax(whole["class_logits"])[0]
        raw = self._fused_classes(classes, seen.classes, seen.pixels >= self._least_seen(shape))
        return KneeAnswer(
            probabilities=self._calibrated(raw),
            raw=raw,
            whole=classes,
            windows=seen.classes,
            tumour=tumour,
            distance=softmax(whole["distance_logits"])[0].astype(np.float32),
            strangeness=float(whole["strangeness"][0, 0]),
        )

    def _least_seen(self, shape: tuple[int, int]) -> float:
        """From so many tumour pixels of its map on, a window holds a tumour: as many as the smallest region has."""
        rows, columns = self.card.preprocess.size
        window_px = self.card.preprocess.window_px
        if window_px is None:
            least = self.card.thresholds.region_min_px * rows * columns / _REGION_GRID * 4  # a quarter of the image
        else:
            least = self._least_pixels(shape, None) * rows * columns / window_px**2
        return max(1.0, least)

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
        valid = image.radiograph.valid
        cut = self.cut(answer, valid)
        mask = mask_on(answer.tumour, shape, cut.threshold)
        if valid is not None:
            mask &= valid
        found = regions(mask, self._least_pixels(shape, image.spacing))
        lesions = tuple(self._lesion(number, region, image, answer) for number, region in enumerate(found, start=1))
        said, sentence = verdict.image_answer(answer.probabilities, len(found), thresholds.tumour, thresholds.certain)
        notes = [*image.radiograph.notes, *image.notes, *([sentence] if sentence else [])]
        if found and thresholds.rough and cut.expected is not None and cut.expected < thresholds.rough[0]:
            notes.append(ROUGH.format(thresholds.rough[1]))
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

    def cut(self, answer: KneeAnswer, valid: npt.NDArray[np.bool_] | None = None) -> Cut:
        """From which fused probability on a pixel is outlined; what a shutter hides has no voice in it."""
        thresholds = self.card.thresholds
        reads_normal = answer.probabilities[1] + answer.probabilities[2] < thresholds.tumour
        least = thresholds.alone if reads_normal else LEAST_EXPECTED
        if thresholds.pixel_bias is None or least is None:
            return Cut(thresholds.mask_alone if reads_normal else thresholds.mask)
        seen = answer.tumour if valid is None else np.where(nearest_on(valid, answer.tumour.shape), answer.tumour, 0.0)
        return best_cut(seen, thresholds.pixel_bias, least)

    def _least_pixels(self, shape: tuple[int, int], spacing: Spacing | None) -> float:
        """The smallest region in source pixels: by surface where millimetres are known, else by share of the image."""
        thresholds = self.card.thresholds
        if spacing is None or spacing.source is SpacingSource.UNKNOWN:
            least = thresholds.region_min_px * shape[0] * shape[1] / _REGION_GRID
        else:
            least = thresholds.region_min_mm2 / (spacing.row_mm * spacing.column_mm)
        return max(1.0, least, thresholds.region_min_source_px or 0.0)

    def _lesion(self, number: int, region: Region, image: KneeImage, answer: KneeAnswer) -> Lesion:
        """One region, with the classes of the image as seen through the windows that hold it."""
        chosen = _holding(region, self._tiling(image.radiograph.pixels.shape).places)
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
