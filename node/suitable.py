"""Whether one image can serve a model, and if not, the named outcome and the sentence for it (DICOM.md §3.6). Pure.

Checks run from "not for us at all" to "nearly": the image that got furthest gives the study its outcome, because that
is the reason an admin can do something about.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from node.config import RouteSection
from node.facts.kinds import MR, XRAY, Kind, class_name
from node.facts.pixels import bits_fault, colour_fault, size_fault
from node.facts.regions import Region, in_words, is_within, spans
from node.facts.xray import FRONTAL_VIEWS, View
from node.headers import ImageFacts
from storage.states import Outcome

_KEYS = frozenset(region.value for region in Region)


@dataclass(frozen=True, slots=True)
class Need:
    """One MR input of a model: which stack it wants. Empty sets and None do not restrict."""

    name: str = "image"
    weightings: frozenset[str] = frozenset()
    """Values of node.facts.mr.Weighting."""
    planes: frozenset[str] = frozenset()
    """Values of node.facts.geometry.Plane."""
    b_values: tuple[float, float] | None = None
    """Lowest and highest b-value that serves, s/mm2."""
    b_best: float | None = None
    """Of several that serve, the one nearest to this is taken."""
    min_slices: int = 1
    may_be_contrasted: bool = True
    must_be_contrasted: bool = False
    fat_suppressed: bool | None = None
    """Whether the signal of fat must be, or must not be, taken away; by any means, STIR and water images included."""
    at_most: int = 1
    """How many stacks it takes, where inputs need not lie on one grid."""
    is_optional: bool = False
    """The model answers without it."""
    instead_of: tuple[str, ...] = ()
    """Serves when one of these needs has no stack."""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What routing needs to know of a model; filled from models/card.py."""

    name: str
    version: str
    modalities: frozenset[str]
    """Of CR, DX, MR."""
    body_parts: frozenset[str]
    """Keys of node.facts.regions.Region; a key covers its parts, "limb" every limb and limbs not said which."""
    views: frozenset[str] = frozenset()
    """Values of node.facts.xray.View; empty takes every view. "frontal" covers AP and PA."""
    needs: tuple[Need, ...] = ()
    """The inputs of an MR model; a radiograph model takes every radiograph that fits."""
    takes_for_processing: bool = False
    takes_derived: bool = False
    """Whether an MR model takes images whose *Image Type* (0008,0008) says DERIVED; projections it never gets."""
    one_grid: bool = True
    """Whether all inputs of an MR model must lie on the same slices, pixel on pixel."""
    any_of: frozenset[str] = frozenset()
    """Names of optional needs, one of which must have a stack."""
    yields_to: frozenset[str] = frozenset()
    """Names of models to which it leaves a study that one of them can answer for."""

    @property
    def label(self) -> str:
        """ "knee 1.0.0" """
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class RouteRules:
    """What an admin may set."""

    max_megapixels: float = 256.0
    """Of one image with all its frames; a larger header is taken for a lie."""
    refuse_burned_in: bool = False


def rules_from(section: RouteSection) -> RouteRules:
    """The rules that the configuration states."""
    return RouteRules(max_megapixels=section.max_megapixels, refuse_burned_in=section.refuse_burned_in)


class Stage(IntEnum):
    """How far an image came."""

    NOT_AN_IMAGE = 0
    MODALITY = 1
    ORIGIN = 2
    BODY_PART = 3
    VIEW = 4
    PIXELS = 5
    SELECTION = 6
    SPARED = 7
    """It would have served, and another serves better: never the reason why a study has no answer."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an image does not serve."""

    stage: Stage
    outcome: Outcome
    reason: str
    """Half a sentence without a full stop, for "series 2, image 3: ..., not used"."""


def refusal(image: ImageFacts, card: CardFacts, rules: RouteRules) -> Refusal | None:
    """The first reason why `image` cannot be given to the model of `card`; None when it can."""
    return next(_refusals(image, card, rules), None)


def kind_refusal(image: ImageFacts) -> Refusal | None:
    """Why no model at all can look at it, None when one might."""
    if image.is_own_result:
        return Refusal(Stage.NOT_AN_IMAGE, Outcome.NOT_APPLICABLE_MODALITY, "a result of this node")
    if image.fault:
        return Refusal(Stage.PIXELS, Outcome.REJECTED_DECODE, image.fault)
    if image.kind is Kind.NOT_AN_IMAGE:
        return Refusal(
            Stage.NOT_AN_IMAGE,
            Outcome.NOT_APPLICABLE_MODALITY,
            f"no image (its class is {class_name(image.sop_class_uid)})",
        )
    if image.kind is Kind.SECONDARY_CAPTURE:
        return Refusal(Stage.MODALITY, Outcome.NOT_APPLICABLE_MODALITY, "a secondary capture, a picture of a picture")
    if image.is_dental:
        return Refusal(Stage.MODALITY, Outcome.NOT_APPLICABLE_MODALITY, "a dental image")
    if image.kind not in XRAY | MR:
        return Refusal(
            Stage.MODALITY,
            Outcome.NOT_APPLICABLE_MODALITY,
            f"neither a radiograph nor MR (its class is {class_name(image.sop_class_uid)})",
        )
    return None


def _refusals(image: ImageFacts, card: CardFacts, rules: RouteRules) -> Iterator[Refusal]:
    general = kind_refusal(image)
    if general:
        yield general
        return
    modality = modality_of(image)
    if modality not in card.modalities:
        yield Refusal(
            Stage.MODALITY,
            Outcome.NOT_APPLICABLE_MODALITY,
            f"{modality}, and {card.label} takes {' and '.join(sorted(card.modalities))}",
        )
    yield from _origin(image, card, rules)
    yield from _body_part(image, card)
    yield from _view(image, card)
    yield from _pixels(image, rules)


def _origin(image: ImageFacts, card: CardFacts, rules: RouteRules) -> Iterator[Refusal]:
    if image.kind is Kind.DX_FOR_PROCESSING and not card.takes_for_processing:
        yield Refusal(
            Stage.ORIGIN,
            Outcome.REJECTED_FOR_PROCESSING,
            "detector data for processing; the image for presentation is needed",
        )
    if image.xray and image.xray.is_scanned_film:
        yield Refusal(Stage.ORIGIN, Outcome.NOT_APPLICABLE_MODALITY, "a scanned film, which no model here has seen")
    if image.mr and image.mr.diffusion.is_mosaic:
        yield Refusal(Stage.ORIGIN, Outcome.REJECTED_MOSAIC, "a mosaic: several slices in one image")
    if image.is_localizer:
        yield Refusal(Stage.ORIGIN, Outcome.REJECTED_LOCALIZER_ONLY, f"a localizer ({image.localizer})")
    if image.is_derived:
        outcome = Outcome.NOT_APPLICABLE_SEQUENCE_MISSING if image.kind in MR else Outcome.NOT_APPLICABLE_VIEW
        yield Refusal(Stage.ORIGIN, outcome, f"made from other images ({image.derived})")
    if card.needs and not card.takes_derived and _says_derived(image):
        yield Refusal(
            Stage.ORIGIN,
            Outcome.NOT_APPLICABLE_SEQUENCE_MISSING,
            f"a derived image (ImageType), and {card.label} takes images as acquired",
        )
    if image.is_burned_in and rules.refuse_burned_in:
        yield Refusal(Stage.ORIGIN, Outcome.REJECTED_BURNED_IN, "text is burned into its pixels (BurnedInAnnotation)")


def _says_derived(image: ImageFacts) -> bool:
    """Whether an MR image calls itself derived; a trace and an ADC map always are, and are asked for as such."""
    mr = image.mr
    if mr is None or image.image_type[:1] != ("DERIVED",):
        return False
    return not (mr.diffusion.is_trace or mr.diffusion.is_adc)


def _body_part(image: ImageFacts, card: CardFacts) -> Iterator[Refusal]:
    regions, source = image.body_part.regions, image.body_part.source
    what = f"{modality_of(image)} of {in_words(regions)} ({source})"
    taken = [region for region in regions if is_within(region, card.body_parts)]
    outcome = Outcome.NOT_APPLICABLE_BODYPART
    if image.is_animal:
        words = f"{modality_of(image)} of an animal"
    elif not regions:
        words = f"{modality_of(image)} of an unknown body part (no code, no BodyPartExamined, no description names one)"
    elif taken and len(taken) < len(regions):
        outcome = Outcome.AMBIGUOUS_BODYPART
        words = f"{what}, of which {card.label} takes {in_words(taken)} only"
    elif taken:
        return
    elif any(_holds(region, card) for region in regions):
        outcome = Outcome.AMBIGUOUS_BODYPART
        words = f"{what}, and {card.label} takes only a part of that"
    else:
        words = f"{what}, not a body part of {card.label}"
    yield Refusal(Stage.BODY_PART, outcome, words)


def modality_of(image: ImageFacts) -> str:
    """CR, DX or MR, as cards name them."""
    return "MR" if image.kind in MR else "CR" if image.kind is Kind.CR else "DX"


def _holds(region: Region, card: CardFacts) -> bool:
    """Whether a part of `region` is a body part of the card."""
    return any(region in spans(Region(key)) for key in card.body_parts & _KEYS)


def _view(image: ImageFacts, card: CardFacts) -> Iterator[Refusal]:
    if image.xray is None or not card.views:
        return
    view = image.xray.view
    fits = view.value in card.views or (view in FRONTAL_VIEWS and View.FRONTAL.value in card.views)
    if not fits:
        said = "an unknown view" if view is View.UNKNOWN else f"{view} view"
        yield Refusal(
            Stage.VIEW,
            Outcome.NOT_APPLICABLE_VIEW,
            f"{said}, and {card.label} takes {' and '.join(sorted(card.views))}",
        )


def _pixels(image: ImageFacts, rules: RouteRules) -> Iterator[Refusal]:
    pixels = image.pixels
    size = size_fault(pixels, rules.max_megapixels)
    if pixels.is_present is False:
        yield Refusal(Stage.PIXELS, Outcome.REJECTED_DECODE, "an image without pixel data")
    if size:
        yield Refusal(Stage.PIXELS, Outcome.REJECTED_DECODE, size)
    if image.kind in XRAY and pixels.frames != 1:
        yield Refusal(
            Stage.PIXELS, Outcome.REJECTED_GEOMETRY, f"an image of {pixels.frames} frames, where a radiograph has one"
        )
    for fault in (colour_fault(pixels), bits_fault(pixels)):
        if fault:
            yield Refusal(Stage.PIXELS, Outcome.REJECTED_DECODE, fault)
