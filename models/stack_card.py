"""The parameters of the systems that look at stacks of MR slices (limb, diffusion), as their card.toml holds them.

One network over the slices of a stack. Its channels are the inputs of `[[input.needs]]`, or what is made of them, in
the order of `preprocess.channels`; each channel comes with its `neighbours` slices on both sides.
"""

from dataclasses import dataclass

from models.cardhead import Card, Input, Limits, Preprocessing, Scaling
from models.cardreader import Place
from models.slices import PERCENTILES, SCALINGS

LIMB, DIFFUSION = "limb-unet", "diffusion-unet"
SYSTEMS = (LIMB, DIFFUSION)
ROLE = "net"
NORMALISATION = PERCENTILES
"""That of most cards; a card that asks for one that models/slices.py has not is for another version."""
CLASSES = ("normal", "tumour")
ADC = "adc"
"""The channel, and the need, that is an apparent diffusion coefficient."""
LOW, HIGH = "low", "high"
"""The needs, and the channels, that are diffusion-weighted images of b near 0 and of the high b-value."""
MORE = "more"
"""The need of any further b-values: the ADC is then fitted through all of them."""
PLANES = ("axial", "sagittal", "coronal")
LEAST_SPACING_MM, MOST_SPACING_MM = 0.05, 10.0
"""Of pixels in the plane."""
MOST_STACKS = 16
"""Of one input of a model that looks at each series by itself."""


@dataclass(frozen=True, slots=True)
class NeedSpec:
    """One input of the model: which stack it wants. What is left out does not restrict."""

    name: str
    weightings: tuple[str, ...] = ()
    planes: tuple[str, ...] = ()
    b_values: tuple[float, float] | None = None
    """Lowest and highest b-value that serves, s/mm2."""
    b_best: float | None = None
    """Of several that serve, the one nearest to this is taken."""
    min_slices: int = 1
    may_be_contrasted: bool = True
    must_be_contrasted: bool = False
    fat_suppressed: bool | None = None
    """Whether the signal of fat must be, or must not be, taken away."""
    at_most: int = 1
    """How many stacks it takes; more than one only of an optional input, or where inputs need not lie on one grid."""
    is_optional: bool = False
    """The model answers without it."""
    instead_of: tuple[str, ...] = ()
    """Serves when one of these needs has no stack: a vendor's ADC map instead of a pair of b-values."""


@dataclass(frozen=True, slots=True)
class StackInput(Input):
    """Which MR studies the model is for."""

    needs: tuple[NeedSpec, ...]
    takes_derived: bool = False
    """Whether images whose *Image Type* (0008,0008) says DERIVED may be given to it; a trace or ADC map may."""
    one_grid: bool = True
    """Whether all inputs must lie on the same slices; false for a model that looks at each series by itself."""
    any_of: tuple[str, ...] = ()
    """Of these needs, each of which it may go without, one must have a stack; none named asks for nothing."""
    yields_to: tuple[str, ...] = ()
    """Names of models that answer instead of this one wherever one of them can."""

    def check(self, place: Place) -> None:
        """The rules of every MR model's needs.

        Raises
        ------
        CardError
        """
        names = [need.name for need in self.needs]
        if not names or len(set(names)) != len(names):
            raise place.refused("input.needs", names, "a model has at least one input, each with a name of its own")
        for number, need in enumerate(self.needs, start=1):
            self._check_need(need, f"input.needs, number {number}", place)
        for name in self.any_of:
            if all(not need.is_optional for need in self.needs if need.name == name):
                raise place.refused("input.any_of", name, "it names a need with is_optional = true")

    def _check_need(self, need: NeedSpec, key: str, place: Place) -> None:
        for plane in need.planes:
            if plane not in PLANES:
                raise place.refused(f"{key}, planes", plane, f"it is one of {', '.join(PLANES)}")
        for other in need.instead_of:
            if self.one_grid is False or other == need.name or all(other != each.name for each in self.needs):
                raise place.refused(f"{key}, instead_of", other, "it names another need on the same grid")
        if need.b_values and need.b_values[0] > need.b_values[1]:
            raise place.refused(f"{key}, b_values", list(need.b_values), "the lowest comes first")
        if need.must_be_contrasted and not need.may_be_contrasted:
            raise place.refused(f"{key}, must_be_contrasted", True, "may_be_contrasted is false")
        if not 1 <= need.at_most <= (1 if self.one_grid and not need.is_optional else MOST_STACKS):
            rule = f"it is from 1 to {MOST_STACKS}, and 1 where all inputs lie on one grid and it is not optional"
            raise place.refused(f"{key}, at_most", need.at_most, rule)


@dataclass(frozen=True, slots=True)
class StackPreprocess(Preprocessing):
    """How slices become the input of the network; see models/slices.py."""

    spacing_mm: float
    """In-plane distance of pixels, rows and columns alike; slices stay where they are."""
    neighbours: int
    """Slices on each side that a slice is seen with; the outermost is repeated beyond the ends of the stack."""
    channels: tuple[str, ...] = ()
    """Names of needs, or "adc" for the map made of "low" and "high"; nothing means the needs in their order."""


@dataclass(frozen=True, slots=True)
class StackThresholds(Limits):
    """`mask` is of the calibrated probability of a voxel."""

    region_min_mm3: float
    """Smallest region."""
    tumour: float
    """From this mean of its voxels' probabilities on, a region is a tumour."""
    unlike: float | None = None
    """A stack stranger than this is not assessed (`strangeness` of the file); None of a file that does not say."""


@dataclass(frozen=True, slots=True)
class StackCalibration(Scaling):
    """sigmoid(logit / temperature + bias) of a voxel."""

    bias: float


@dataclass(frozen=True, slots=True)
class StackCard(Card):
    """The card of a limb or diffusion bundle."""

    input: StackInput
    preprocess: StackPreprocess
    thresholds: StackThresholds
    calibration: StackCalibration

    @property
    def channels(self) -> tuple[str, ...]:
        """What the network sees, in its order, without the neighbours."""
        return self.preprocess.channels or tuple(need.name for need in self.input.needs if not need.is_optional)

    @property
    def input_channels(self) -> int:
        """How many channels the network takes: each with its neighbours."""
        return len(self.channels) * (2 * self.preprocess.neighbours + 1)

    def contract(self, role: str) -> dict[str, str]:
        """That of every card, and what the channels are."""
        return Card.contract(self, role) | {
            "channels": ",".join(self.channels),
            "neighbours": str(self.preprocess.neighbours),
            "spacing_mm": f"{self.preprocess.spacing_mm:g}",
        }

    def check(self, place: Place) -> None:
        """The rules of every card, and of these."""
        if self.preprocess.normalisation not in SCALINGS:
            rule = f"this version has {', '.join(SCALINGS)}"
            raise place.refused("preprocess.normalisation", self.preprocess.normalisation, rule)
        Card.check(self, place)
        self.input.check(place)
        self._check_channels(place)
        place.within("preprocess.spacing_mm", self.preprocess.spacing_mm, LEAST_SPACING_MM, MOST_SPACING_MM)
        place.within("preprocess.neighbours", self.preprocess.neighbours, 0, 8)
        place.within("thresholds.tumour", self.thresholds.tumour, 0.0, 1.0)
        place.within("thresholds.region_min_mm3", self.thresholds.region_min_mm3, 0.0, 1e6)
        place.within("calibration.bias", self.calibration.bias, -100.0, 100.0)
        if self.thresholds.unlike is not None:
            place.within("thresholds.unlike", self.thresholds.unlike, 0.0, 1e9)
        if self.classes != CLASSES:
            raise place.refused("classes", list(self.classes), f"they are {', '.join(CLASSES)}")

    def _check_channels(self, place: Place) -> None:
        if not self.input.one_grid:
            raise place.refused("input.one_grid", False, "its channels lie on one grid")
        names = {need.name for need in self.input.needs}
        made = {ADC} if {LOW, HIGH} <= names else set()
        for channel in self.channels:
            if channel not in made | names:
                rule = 'a channel is the name of a need, or "adc" where "low" and "high" are needs'
                raise place.refused("preprocess.channels", channel, rule)
