"""The parameters of the knee system (knee-seg-unet), as its card.toml holds them."""

from dataclasses import dataclass

from models.cardhead import Card, Input, Limits, Preprocessing, Scaling
from models.cardreader import Place

SYSTEM = "knee-seg-unet"
NORMALISATION = "content-percentiles"
"""The grey value preparation of models/pixels.py; a card that asks for another one is for another version."""


@dataclass(frozen=True, slots=True)
class InputSpec(Input):
    """Which radiographs the model is for."""

    min_side_px: int
    """Images with a shorter side are not assessed."""


@dataclass(frozen=True, slots=True)
class Preprocess(Preprocessing):
    """The whole image, squeezed to `size`."""


@dataclass(frozen=True, slots=True)
class Thresholds(Limits):
    """`mask` is of the fused probability."""

    mask_alone: float
    """The same on an image that reads as normal as a whole, where a region makes the answer undecided."""
    region_min_px: float
    """Smallest region where no millimetres are known, in pixels of a 256 x 256 grid of the image."""
    region_min_mm2: float
    """Smallest region where they are."""
    normal_total: float
    """T of A6."""
    beta: float
    """Of A5 and A6: the global model's share."""
    tumour: float
    """From this calibrated probability on, an image has a tumour."""
    certain: tuple[float, float]
    """Benign and malignant: the least share of that class, of the two together, at which a tumour may be it."""
    unlike: float
    """An image stranger than this is not assessed (`strangeness` of the global file)."""


@dataclass(frozen=True, slots=True)
class Calibration(Scaling):
    """softmax(log(p) / temperature + bias) of the fused classes."""

    bias: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class KneeCard(Card):
    """The card of a knee bundle."""

    input: InputSpec
    preprocess: Preprocess
    thresholds: Thresholds
    calibration: Calibration

    def check(self, place: Place) -> None:
        """The rules of every card, and of this one."""
        if self.preprocess.normalisation != NORMALISATION:
            raise place.refused(
                "preprocess.normalisation", self.preprocess.normalisation, f'this version has "{NORMALISATION}"'
            )
        Card.check(self, place)
        for name in ("beta", "tumour"):
            place.within(f"thresholds.{name}", getattr(self.thresholds, name), 0.0, 1.0)
        for share in self.thresholds.certain:
            place.within("thresholds.certain", share, 0.0, 1.0)
        place.within("thresholds.unlike", self.thresholds.unlike, 0.0, 1e9)
        place.within("thresholds.mask_alone", self.thresholds.mask_alone, self.thresholds.mask, 1.0)
        place.within("thresholds.normal_total", self.thresholds.normal_total, -1.0, 1.0)
