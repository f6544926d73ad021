"""The recipes of the limb system. It is ours, no paper's: `paper` is the plain published U-Net on the same data."""

from dataclasses import dataclass

from training.loop import Fall, Optimiser, Plan
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


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the weights, beside the data."""

    name: str
    net: UNetSpec
    plan: Plan
    views: Views
    spacing_mm: float
    neighbours: int
    window: int
    """Rows and columns of a training view."""
    side: int
    """Rows and columns of the exported input."""
    batch: int
    tumour_share: float
    """The share of views that are drawn around a tumour; the others lie anywhere."""

    def digest(self) -> str:
        """SHA-256 of the values above."""
        return digest_of(self)


_STRONG = Views(scale=0.3, rotation_deg=25.0, shift=0.35, flips=True, gamma=0.4, gain=0.25, bias=0.3, noise=0.05)
_NONE = Views(scale=0.0, rotation_deg=0.0, shift=0.0, flips=False, gamma=0.0, gain=0.0, bias=0.0, noise=0.0)

SMALL = Recipe(
    name="small",
    net=UNetSpec(3, (24, 48, 96, 160), (2, 2, 2, 2), 1, stem_stride=2, is_residual=True, deep_levels=1),
    plan=Plan(Optimiser.ADAMW, Fall.COSINE, 3e-3, 0.02, steps=2_500, minutes=None, observe_every=250, ema=0.99),
    views=_STRONG,
    spacing_mm=1.0,
    neighbours=1,
    window=128,
    side=192,
    batch=12,
    tumour_share=0.67,
)
STRONG = Recipe(
    name="strong",
    net=UNetSpec(3, (32, 64, 128, 256, 320), (2, 3, 4, 4, 4), 2, stem_stride=1, is_residual=True, deep_levels=3),
    plan=Plan(Optimiser.ADAMW, Fall.COSINE, 1e-3, 0.05, steps=20_000, minutes=None, observe_every=500, ema=0.999),
    views=_STRONG,
    spacing_mm=1.0,
    neighbours=1,
    window=192,
    side=192,
    batch=24,
    tumour_share=0.67,
)
PAPER = Recipe(
    name="paper",
    net=UNetSpec(3, (32, 64, 128, 256, 512), (2, 2, 2, 2, 2), 2, stem_stride=1, is_residual=False, deep_levels=1),
    plan=Plan(Optimiser.ADAM, Fall.COSINE, 1e-2, 0.0, steps=20_000, minutes=None, observe_every=500, ema=0.0, clip=0.0),
    views=_NONE,
    spacing_mm=1.0,
    neighbours=1,
    window=192,
    side=192,
    batch=8,
    tumour_share=0.5,
)
RECIPES = {recipe.name: recipe for recipe in (SMALL, STRONG, PAPER)}
