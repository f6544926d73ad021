"""What a recipe of the systems limb and diffusion holds; their presets are in a file of their own each."""

from dataclasses import dataclass, replace

from models.slices import PERCENTILES
from models.stack_card import ADC
from training.loop import Plan
from training.run import digest_of
from training.unet import UNetSpec


@dataclass(frozen=True, slots=True)
class Views:
    """How far a training view may differ from its slice; all zero is the slice itself."""

    scale: float
    """Log of the largest factor."""
    rotation_deg: float
    shift: float
    """Of the window's half side, on top of the centre that was drawn."""
    flips: bool
    gamma: float
    """Log of the largest exponent."""
    gain: float
    bias: float
    """Log amplitude of the coil field."""
    noise: float
    elastic: float = 0.0
    """Largest displacement of each of 5 x 5 points that bend the view, of the window's half side."""


STILL = Views(scale=0.0, rotation_deg=0.0, shift=0.0, flips=False, gamma=0.0, gain=0.0, bias=0.0, noise=0.0)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the weights, beside the data."""

    name: str
    channels: tuple[str, ...]
    """As `preprocess.channels` of a card."""
    net: UNetSpec
    plan: Plan
    views: Views
    spacing_mm: float
    """In-plane distance of pixels; see `takes_median`."""
    neighbours: int
    window: int
    """Rows and columns of a training view."""
    side: int
    """Rows and columns of the exported input."""
    batch: int
    tumour_share: float
    """The share of views that are drawn around a tumour; the others lie anywhere."""
    even_share: float = 0.0
    """Of those, the share whose slice is drawn first, all slices with a tumour alike. For the others a voxel of a
    tumour is drawn, which seldom lies in the first or last slice of one."""
    image_dice: float = 0.0
    """What the soft Dice of each image with a tumour weighs beside that of the batch, in which small ones vanish."""

    normalisation: str = PERCENTILES
    """A key of `models.slices.SCALINGS`."""
    takes_median: bool = False
    """Whether `spacing_mm` is but the preset's guess, and a run takes the median of its training patients, as nnU-Net
    does (see spacing.py)."""

    def digest(self) -> str:
        """SHA-256 of the values above; those that came later do not count where they change nothing.

        A spacing that the data give is no part of it: the preset is the same.
        """
        later = {
            "elastic": 0.0,
            "even_share": 0.0,
            "image_dice": 0.0,
            "normalisation": PERCENTILES,
            "takes_median": False,
        }
        return digest_of(replace(self, spacing_mm=0.0) if self.takes_median else self, later=later)

    @property
    def brightest(self) -> float | None:
        """The most that a signal becomes by the normalisation; None where it has no limit."""
        return 1.0 if self.normalisation == PERCENTILES else None

    @property
    def is_signal(self) -> tuple[bool, ...]:
        """Of each channel of the network whether it is a signal, which coils and gains change; an ADC is none."""
        return tuple(name != ADC for name in self.channels for _ in range(2 * self.neighbours + 1))
