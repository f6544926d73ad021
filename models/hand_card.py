"""The parameters of the hand system as its card.toml holds them (hand-deep-ht; MODELS.md §5.2)."""

from dataclasses import dataclass

from models.cardhead import Card, Limits, Preprocessing, Scaling
from models.cardreader import Place
from models.stack_card import StackInput

SYSTEM = "hand-deep-ht"
ROLE = "net"
NORMALISATION = "volume-percentiles, clahe"
"""The preparation of models/hand_input.py; a card that asks for another one is for another version."""
CLASSES = ("normal", "ganglion", "giant-cell", "lipoma", "haemangioma", "schwannoma")
"""What a pixel may be: nothing, or one of the five kinds, all benign."""
CLAHE, PLAIN, BEFORE, BEHIND = "clahe", "plain", "before", "behind"
COMPANIONS = ("t1", "t2", "fs", "contrast")
"""The series of a hand by their weighting: T1, T2, either without the signal of fat, T1 after contrast agent."""
CHANNELS = (
    (CLAHE,),
    (CLAHE, PLAIN),
    (CLAHE, PLAIN, BEFORE, BEHIND),
    (CLAHE, PLAIN, BEFORE, BEHIND, *COMPANIONS),
)
"""What a network may see: the equalised slice as the paper, beside it the same slice as it was, the slices on either
side, by which a vessel that is cut across differs from a ball, and the same place in series of every weighting."""


@dataclass(frozen=True, slots=True)
class HandPreprocess(Preprocessing):
    """How slices become the input of the network; see models/hand_input.py."""

    spacing_mm: float
    """In-plane distance of pixels, rows and columns alike; slices stay where they are."""
    tile_px: int
    """Side of a tile of CLAHE, after resampling."""
    clip: float
    """Of the pixels of a tile, the largest share that one grey value keeps."""
    channels: tuple[str, ...]

    @property
    def own(self) -> int:
        """So many of the channels, the first, show the series itself; the others its companions."""
        return sum(name not in COMPANIONS for name in self.channels)


@dataclass(frozen=True, slots=True)
class HandThresholds(Limits):
    """`mask` is of the calibrated probability that a pixel is any tumour."""

    region_min_mm3: float
    """Smallest region."""
    tumour: float
    """From this probability on, a study or a series reads as one with a tumour."""
    kind: float
    """From this share on, a lesion's likeliest kind is named; below, only that it is one of the five."""
    region: float = 0.5
    """From this mean of its voxels' probabilities on, a region is outlined."""
    unlike: float | None = None
    """A series stranger than this is not assessed (`strangeness` of the file); None of a file that does not say."""


@dataclass(frozen=True, slots=True)
class HandCalibration(Scaling):
    """`temperature` and `background_bias` are of the logits of a pixel; the others of a study, over all its series."""

    study_temperature: float
    study_bias: float
    """sigmoid(logit / study_temperature + study_bias) of the mean logit of the series: that there is a tumour."""
    kind_temperature: float
    """softmax(mean logarithm over the series / kind_temperature) of the kinds of the largest lesions."""
    background_bias: float = 0.0
    """Added to a pixel's logit of `normal` after the temperature: a training in which pixels of tumours weigh more than
    others sees too many of them."""
    fusion: float = 0.0
    """What another series weighs in a voxel that it shows too, where the own one weighs 1 (models/hand_fusion.py); 0:
    each series is answered alone."""


@dataclass(frozen=True, slots=True)
class HandCard(Card):
    """The card of a hand bundle."""

    input: StackInput
    preprocess: HandPreprocess
    thresholds: HandThresholds
    calibration: HandCalibration

    def contract(self, role: str) -> dict[str, str]:
        """That of every card, and how slices are prepared."""
        asked = self.preprocess
        return Card.contract(self, role) | {
            "channels": ",".join(asked.channels),
            "spacing_mm": f"{asked.spacing_mm:g}",
            "clahe": f"{asked.tile_px} px, {asked.clip:g}",
        }

    def check(self, place: Place) -> None:
        """The rules of every card, and of these."""
        asked = self.preprocess
        if asked.normalisation != NORMALISATION:
            raise place.refused("preprocess.normalisation", asked.normalisation, f'this version has "{NORMALISATION}"')
        if asked.channels not in CHANNELS:
            known = " or ".join(str(list(channels)) for channels in CHANNELS)
            raise place.refused("preprocess.channels", list(asked.channels), f"it is {known}")
        Card.check(self, place)
        self.input.check(place)
        if self.input.one_grid:
            raise place.refused("input.one_grid", True, "each series is answered by itself, on its own grid")
        names = {need.name for need in self.input.needs}
        if unnamed := [name for name in asked.channels if name in COMPANIONS and name not in names]:
            raise place.refused("preprocess.channels", unnamed, "input.needs names no such series")
        place.within("preprocess.spacing_mm", asked.spacing_mm, 0.05, 10.0)
        place.within("preprocess.tile_px", asked.tile_px, 4, 1024)
        place.within("preprocess.clip", asked.clip, 0.0, 1.0)
        place.within("thresholds.region_min_mm3", self.thresholds.region_min_mm3, 0.0, 1e6)
        place.within("thresholds.tumour", self.thresholds.tumour, 0.0, 1.0)
        place.within("thresholds.region", self.thresholds.region, 0.0, 1.0)
        if self.thresholds.unlike is not None:
            place.within("thresholds.unlike", self.thresholds.unlike, 0.0, 1e9)
        place.within("thresholds.kind", self.thresholds.kind, 0.0, 1.0)
        for name in ("study_temperature", "kind_temperature"):
            place.within(f"calibration.{name}", getattr(self.calibration, name), 0.01, 100.0)
        for name in ("study_bias", "background_bias"):
            place.within(f"calibration.{name}", getattr(self.calibration, name), -100.0, 100.0)
        place.within("calibration.fusion", self.calibration.fusion, 0.0, 10.0)
        if set(self.files) != {ROLE}:
            raise place.refused("files", sorted(self.files), f"it is {ROLE}")
        if self.classes != CLASSES:
            raise place.refused("classes", list(self.classes), f"they are {', '.join(CLASSES)}")
