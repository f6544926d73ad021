"""The recipes of the diffusion system: each in three variants, by what the network is given.

`paper` is diffusion-unet-dwi as far as it is told (MODELS.md §5.1): a 2D U-Net on 128 x 128 x 35, Adam at 1e-2, 200
epochs over 9 subjects, trained apart on b = 800 (`paper-dwi`) and on the ADC (`paper-adc`); `paper` itself is given
both. Loss, batch and normalisation are not told, and are ours.
"""

from dataclasses import replace

from models.slices import Z_SCORE
from models.stack_card import ADC, HIGH, LOW
from training.loop import Fall, Optimiser, Plan
from training.stacks.recipe import STILL, Recipe, Views
from training.unet import UNetSpec

VARIANTS = {"both": (LOW, HIGH, ADC), "dwi": (HIGH,), "adc": (ADC,)}
"""What the network is given; `both` has no suffix in the name of a preset."""
PAPER_SIDE, PAPER_SLICES, PAPER_SUBJECTS, PAPER_VALIDATED, PAPER_EPOCHS, PAPER_RATE = 128, 35, 9, 6, 200, 1e-2
PAPER_BATCH = 15
"""Ours: it divides an epoch of 9 x 35 slices into 21 steps."""
_EPOCH = PAPER_SUBJECTS * PAPER_SLICES // PAPER_BATCH
VIEWS = Views(scale=0.2, rotation_deg=15.0, shift=0.35, flips=True, gamma=0.15, gain=0.2, bias=0.2, noise=0.03)


def _channels(variant: str, neighbours: int) -> int:
    return len(VARIANTS[variant]) * (2 * neighbours + 1)


def small(variant: str) -> Recipe:
    """The one that ships."""
    return Recipe(
        name=_name("small", variant),
        channels=VARIANTS[variant],
        net=UNetSpec(_channels(variant, 1), (24, 48, 112, 224), (2, 3, 3, 3), 1, 2, is_residual=True, deep_levels=3),
        plan=Plan(
            Optimiser.ADAMW,
            Fall.COSINE,
            3e-3,
            0.02,
            steps=6_000,
            minutes=None,
            observe_every=1_500,
            ema=0.998,
            bfloat16=True,
        ),
        views=VIEWS,
        spacing_mm=2.0,
        neighbours=1,
        window=112,
        side=192,
        batch=12,
        tumour_share=0.6,
        even_share=0.6,
        image_dice=0.5,
    )


def strong(variant: str) -> Recipe:
    """What today's best practice gives, for a GPU: as limb's, and an ADC keeps its physical scale."""
    widths, depths = (32, 64, 128, 256, 320), (2, 3, 4, 4, 4)
    return replace(
        small(variant),
        name=_name("strong", variant),
        net=UNetSpec(_channels(variant, 1), widths, depths, 2, 1, is_residual=True, deep_levels=3),
        plan=Plan(Optimiser.ADAMW, Fall.COSINE, 1e-3, 0.05, steps=20_000, minutes=None, observe_every=500, ema=0.999),
        window=128,
        batch=24,
        normalisation=Z_SCORE,
        takes_median=True,
    )


def paper(variant: str) -> Recipe:
    """As published; the rate does not fall within the run, as none is told."""
    steps = PAPER_EPOCHS * _EPOCH
    return Recipe(
        name=_name("paper", variant),
        channels=VARIANTS[variant],
        net=UNetSpec(
            _channels(variant, 0), (32, 64, 128, 256, 512), (2, 2, 2, 2, 2), 2, 1, is_residual=False, deep_levels=1
        ),
        plan=Plan(
            Optimiser.ADAM, Fall.STEP, PAPER_RATE, 0.0, steps=steps, minutes=None, observe_every=10 * _EPOCH,
            ema=0.0, clip=0.0, factor=1.0,
        ),
        views=STILL,
        spacing_mm=3.0,
        neighbours=0,
        window=PAPER_SIDE,
        side=PAPER_SIDE,
        batch=PAPER_BATCH,
        tumour_share=0.0,
    )  # fmt: skip


def _name(preset: str, variant: str) -> str:
    return preset if variant == "both" else f"{preset}-{variant}"


RECIPES = {recipe.name: recipe for make in (small, strong, paper) for recipe in map(make, VARIANTS)}
