"""Everything that decides the weights of a hand network, beside the data, as values with a name."""

from dataclasses import dataclass, replace

from models.hand_card import CHANNELS, NORMALISATION, HandPreprocess
from training.hand.augment import AugmentSpec
from training.hand.batches import BatchSpec
from training.hand.losses import LossSpec
from training.hand.nets import PAPER as PAPER_NET
from training.hand.nets import SMALL as SMALL_NET
from training.hand.nets import NetSpec
from training.loop import Fall, Optimiser, Plan
from training.run import digest_of


@dataclass(frozen=True, slots=True)
class Recipe:
    """One preset."""

    name: str
    preprocess: HandPreprocess
    net: NetSpec
    loss: LossSpec
    batches: BatchSpec
    augment: AugmentSpec
    plan: Plan

    def digest(self) -> str:
        """Of the values above, see training.run.digest_of; those that came later count where they change something."""
        return digest_of(self, later={"auxiliary": 0})


PAPER = Recipe(
    name="paper",
    preprocess=HandPreprocess(
        size=(513, 513), normalisation=NORMALISATION, spacing_mm=0.25, tile_px=64, clip=0.01, channels=CHANNELS[0]
    ),
    net=PAPER_NET,
    loss=LossSpec(background=1.0, tumour=10.0),
    batches=BatchSpec(tumours=6, others=2),
    augment=AugmentSpec(flip=0.5, rotation_deg=10.0, scale=0.0, elastic=0.01),
    plan=Plan(
        Optimiser.SGD,
        Fall.POLY,
        1e-4,
        4e-5,
        steps=30_000,
        minutes=None,
        observe_every=1000,
        ema=0.0,
        clip=0.0,
        factor=0.0005,
        patience=2,
    ),
)
"""Sizes, loss and optimiser of the paper; what it leaves open is DeepLab's default: steps, weight decay, and the poly
schedule, because a decay to 0.0005 every 2000 steps would end learning there (MODELS.md §5.2, error 4)."""

PAPER_LITERAL = replace(PAPER, name="paper-step", plan=replace(PAPER.plan, fall=Fall.STEP))
"""The paper's schedule as it is written."""

STRONG = Recipe(
    name="strong",
    preprocess=replace(PAPER.preprocess, size=(384, 384), spacing_mm=0.35, tile_px=48, channels=CHANNELS[3]),
    net=replace(PAPER_NET, channels=len(CHANNELS[3]), auxiliary=256),
    loss=LossSpec(background=1.0, tumour=3.0, dice=1.0, binary_dice=0.5, auxiliary=0.4),
    batches=BatchSpec(tumours=10, others=6),
    augment=AugmentSpec(flip=0.5, rotation_deg=15.0, scale=0.15, elastic=0.015),
    plan=Plan(Optimiser.ADAMW, Fall.COSINE, 1e-3, 0.05, steps=20_000, minutes=None, observe_every=1000, ema=0.999),
)
"""For a GPU, within DeepLab v3+: its encoder is residual as published (each block of Xception has a short way), a head
behind the middle flow supervises it in depth, Dice beside cross-entropy, AdamW and a cosine, averaged weights, ten of
sixteen slices with a tumour, the five kinds in turn and never cut away. Never trained.

Two of nnU-Net's rules are left out. Normalisation: grey values are stretched by percentiles, of which training data
keep 8 bits, and shown beside what the paper's CLAHE makes of them; no z-scores. Resampling: 0.35 mm for everyone and
not the median of the training patients, since a card tells the tiles of CLAHE in pixels of a known size."""

SMALL = Recipe(
    name="small",
    preprocess=HandPreprocess(
        size=(64, 64), normalisation=NORMALISATION, spacing_mm=1.0, tile_px=20, clip=0.01, channels=CHANNELS[3]
    ),
    net=SMALL_NET,
    loss=LossSpec(background=1.0, tumour=3.0, dice=0.5, binary_dice=1.0),
    batches=BatchSpec(tumours=12, others=4),
    augment=AugmentSpec(flip=0.5, rotation_deg=12.0, scale=0.10, elastic=0.01),
    plan=Plan(
        Optimiser.ADAMW,
        Fall.COSINE,
        2e-3,
        0.02,
        steps=12_000,
        minutes=None,
        observe_every=1000,
        ema=0.998,
        bfloat16=True,
    ),
)
"""What one thread of a CPU trains in less than an hour: 64 mm of a hand at once, each millimetre a pixel, for many
steps teach more than fine pixels do."""

RECIPES = {recipe.name: recipe for recipe in (PAPER, PAPER_LITERAL, STRONG, SMALL)}
