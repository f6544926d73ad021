"""The parameters of the spine system, as its card.toml holds them (spine-wff; MODELS.md §5.4)."""

from dataclasses import dataclass

from models.cardhead import Card, Limits, Preprocessing, Scaling
from models.cardreader import Place
from models.spine import FAMILIAR, FLOOR, ROLES, SpineRules
from models.stack_card import NORMALISATION, StackInput
from models.wff import DECADES, Weights

SYSTEM = "spine-wff"
CLASSES = ("benign", "malignant")


@dataclass(frozen=True, slots=True)
class SpinePreprocess(Preprocessing):
    """`size` is the detector's; the classifier's is always 16 slices of 112 x 112."""

    margin: float
    """Of a crop, in sizes of its box; 1.0 is the paper's."""


@dataclass(frozen=True, slots=True)
class SpineThresholds(Limits):
    """`mask` is of a box here: from this probability of any tumour on, it counts."""

    certain: float
    """Least calibrated probability of a class that may be the answer (split conformal)."""
    unlike: float | None = None
    """A sequence stranger than this is not assessed; None of a bundle without the file that says how strange one is."""


@dataclass(frozen=True, slots=True)
class SpineCalibration(Scaling):
    """sigmoid(logit / temperature + bias) of a malignant share."""

    bias: float


@dataclass(frozen=True, slots=True)
class SpineFusion:
    """Eq. 1."""

    detector: float
    sequence: float
    age: float
    ages: tuple[float, ...]
    """The probability of malignancy by decade of age, from the patients of the training."""


@dataclass(frozen=True, slots=True)
class SpineCard(Card):
    """The card of a spine bundle."""

    input: StackInput
    preprocess: SpinePreprocess
    thresholds: SpineThresholds
    calibration: SpineCalibration
    fusion: SpineFusion

    @property
    def rules(self) -> SpineRules:
        """What the card decides, as `models.spine` takes it."""
        return SpineRules(
            size=self.preprocess.size,
            margin=self.preprocess.margin,
            box=self.thresholds.mask,
            weights=Weights(self.fusion.detector, self.fusion.sequence, self.fusion.age),
            ages=self.fusion.ages,
            temperature=self.calibration.temperature,
            bias=self.calibration.bias,
            certain=self.thresholds.certain,
            unlike=self.thresholds.unlike,
        )

    def check(self, place: Place) -> None:
        """The rules of every card, and of this one."""
        if self.preprocess.normalisation != NORMALISATION:
            raise place.refused(
                "preprocess.normalisation", self.preprocess.normalisation, f'this version has "{NORMALISATION}"'
            )
        Card.check(self, place)
        self.input.check(place)
        if self.input.one_grid:
            raise place.refused("input.one_grid", True, "each sequence is looked at by itself, on its own grid")
        roles = ROLES if self.thresholds.unlike is None else (*ROLES, FAMILIAR)
        if set(self.files) != set(roles):
            raise place.refused("files", sorted(self.files), f"they are {' and '.join(roles)}")
        if self.thresholds.unlike is not None:
            place.within("thresholds.unlike", self.thresholds.unlike, 0.0, 1e9)
        if self.classes != CLASSES:
            raise place.refused("classes", list(self.classes), f"they are {', '.join(CLASSES)}")
        place.within("preprocess.margin", self.preprocess.margin, 0.5, 4.0)
        place.within("thresholds.mask", self.thresholds.mask, FLOOR, 1.0)
        place.within("thresholds.certain", self.thresholds.certain, 0.0, 1.0)
        place.within("calibration.bias", self.calibration.bias, -100.0, 100.0)
        for name in ("detector", "sequence", "age"):
            place.within(f"fusion.{name}", getattr(self.fusion, name), 0.0, 1.0)
        if self.fusion.detector + self.fusion.sequence <= 0.0:
            raise place.refused("fusion", "no weight", "the detector or the classifier has a weight above 0")
        if len(self.fusion.ages) != DECADES:
            raise place.refused(
                "fusion.ages", list(self.fusion.ages), f"there is one value for each of {DECADES} decades"
            )
        for age in self.fusion.ages:
            place.within("fusion.ages", age, 0.0, 1.0)
