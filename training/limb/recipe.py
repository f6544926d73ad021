"""The recipes of the limb system. It is ours, no paper's: `paper` is the plain published U-Net on the same data."""

from dataclasses import replace

from models.slices import Z_SCORE
from training.loop import Fall, Optimiser, Plan
from training.stacks.recipe import STILL, Recipe, Views
from training.unet import UNetSpec

VIEWS = Views(scale=0.3, rotation_deg=25.0, shift=0.35, flips=True, gamma=0.4, gain=0.25, bias=0.3, noise=0.05)

SMALL = Recipe(
    name="small",
    channels=("t1",),
    net=UNetSpec(3, (24, 48, 96, 160), (2, 2, 2, 2), 1, stem_stride=2, is_residual=True, deep_levels=3),
    plan=Plan(Optimiser.ADAMW, Fall.COSINE, 3e-3, 0.02, steps=4_000, minutes=None, observe_every=500, ema=0.995),
    views=VIEWS,
    spacing_mm=1.0,
    neighbours=1,
    window=112,
    side=192,
    batch=12,
    tumour_share=0.67,
)
"""Twice the steps learn the 20 patients by heart: the Dice of the four that validate rose to 0.73 half way through 8000
steps and fell to 0.69."""
BENT = replace(
    SMALL,
    name="bent",
    plan=replace(SMALL.plan, steps=6_000, observe_every=1000),
    views=replace(VIEWS, rotation_deg=45.0, elastic=0.1),
)
WIDE = replace(
    SMALL,
    name="wide",
    plan=replace(SMALL.plan, steps=8_000, observe_every=1000),
    views=replace(VIEWS, rotation_deg=60.0, elastic=0.1),
    even_share=0.5,
    image_dice=0.5,
)
"""Small's network that saw other views and, wide, was asked another loss, to answer together with one of small (`export
--with`). Neither ships: on limb's validation patients all three together were as good as small alone (its card)."""
STRONG = replace(
    SMALL,
    name="strong",
    net=UNetSpec(3, (32, 64, 128, 256, 320), (2, 3, 4, 4, 4), 2, stem_stride=1, is_residual=True, deep_levels=3),
    plan=Plan(Optimiser.ADAMW, Fall.COSINE, 1e-3, 0.05, steps=20_000, minutes=None, observe_every=500, ema=0.999),
    window=192,
    batch=24,
    normalisation=Z_SCORE,
    takes_median=True,
)
"""Residual encoder, deep supervision of three levels, Dice + cross-entropy over the batch, AdamW and a cosine, averaged
weights, two of three views around a tumour; pixels and grey values by the rules of nnU-Net (spacing.py,
`models.slices.standardised`)."""
PAPER = replace(
    SMALL,
    name="paper",
    net=UNetSpec(3, (32, 64, 128, 256, 512), (2, 2, 2, 2, 2), 2, stem_stride=1, is_residual=False, deep_levels=1),
    plan=Plan(Optimiser.ADAM, Fall.COSINE, 1e-2, 0.0, steps=20_000, minutes=None, observe_every=500, ema=0.0, clip=0.0),
    views=STILL,
    window=192,
    batch=8,
    tumour_share=0.5,
)
RECIPES = {recipe.name: recipe for recipe in (SMALL, BENT, WIDE, STRONG, PAPER)}
