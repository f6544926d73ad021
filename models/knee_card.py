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
    """The whole image, squeezed to `size`; and of the windows of the patch network, each."""

    window_px: int | None = None
    """The side in pixels of the image of windows that slide over it at its own resolution, as the paper's of 416 do;
    None has nine windows of half the sides (models/patches.py)."""


@dataclass(frozen=True, slots=True)
class Thresholds(Limits):
    """`mask` is of the fused probability."""

    mask_alone: float
    """The same on an image that reads as normal as a whole, where a region makes the answer undecided; unused where
    there are `pixel_bias` and `alone`."""
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
    region_min_source_px: float | None = None
    """Beside the two other limits: the smallest region in pixels of the image itself (appendix B.3: about 500)."""
    pixel_bias: float | None = None
    """Of models/cut.py, by which an image that reads as tumour is outlined, and with `alone` one that reads as normal;
    None cuts the map at `mask`, which otherwise decides only what A5 and A6 take for tumour."""
    alone: float | None = None
    """Where there is a pixel bias: the Dice from which, if so much may be expected of its outline, an image that reads
    as normal is outlined too; None cuts its map at `mask_alone`."""
    rough: tuple[float, float] | None = None
    """An outline of which a lower Dice than the first may be expected is said to be rough; the second is the mean that
    such outlines had on validation images, 0 where there was no tumour. None where nobody knows."""


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

    def contract(self, role: str) -> dict[str, str]:
        """That of every card; a patch file for sliding windows says of which, as it has seen details of that size."""
        stated, window_px = Card.contract(self, role), self.preprocess.window_px
        return stated | {"window_px": str(window_px)} if role == "patch" and window_px is not None else stated

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
        if self.preprocess.window_px is not None:
            place.within("preprocess.window_px", self.preprocess.window_px, 16, 4096)
        if self.thresholds.region_min_source_px is not None:
            place.within("thresholds.region_min_source_px", self.thresholds.region_min_source_px, 0.0, 1e6)
        if self.thresholds.pixel_bias is not None:
            place.within("thresholds.pixel_bias", self.thresholds.pixel_bias, -20.0, 20.0)
        if self.thresholds.alone is not None:
            if self.thresholds.pixel_bias is None:
                raise place.refused(
                    "thresholds.alone", self.thresholds.alone, "it needs thresholds.pixel_bias beside it"
                )
            place.within("thresholds.alone", self.thresholds.alone, 0.0, 1.0)
        for share in self.thresholds.rough or ():
            place.within("thresholds.rough", share, 0.0, 1.0)
