"""The two recipes of the knee system: what the paper states, and what a processor without a GPU can train.

knee-seg-unet §2.3: 416 x 416; global model Adam 1e-3, patch model SGD 4e-4 from the global weights, both reduced on a
plateau and stopped early after 20 epochs; rotation, flip, crop; loss weights 1, 1, 1 (A4). The paper gives no widths
and no batch size; U-Net's halved widths and 8 are ours.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from training.knee.augment import AugmentSpec
from training.knee.batches import BatchSpec, Phase
from training.knee.losses import LossSpec, Unit
from training.knee.nets import NetSpec
from training.loop import Fall, Optimiser, Plan


@dataclass(frozen=True, slots=True)
class Stage:
    """How one of the two models is trained."""

    batches: BatchSpec
    augment: AugmentSpec
    plan: Plan


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the weights, beside the data."""

    name: str
    side: int
    """Rows and columns of the input."""
    net: NetSpec
    loss: LossSpec
    global_stage: Stage
    patch_stage: Stage
    patch_share: float
    """The patch model's share of a budget in minutes."""

    def digest(self) -> str:
        """SHA-256 of the values above: the same recipe, the same digest, whatever the commit."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, default=str).encode()).hexdigest()


_WIDE_VIEWS = AugmentSpec(
    scale=0.12,
    aspect=0.15,
    rotation_deg=8.0,
    shift=0.05,
    flip_columns=0.5,
    flip_rows=0.1,
    quarter_turn=0.02,
    grey=0.6,
    degrade=0.12,
    clutter=0.06,
)
_PLAIN_VIEWS = AugmentSpec(
    scale=0.10,
    aspect=0.0,
    rotation_deg=10.0,
    shift=0.05,
    flip_columns=0.5,
    flip_rows=0.0,
    quarter_turn=0.0,
    grey=0.0,
    degrade=0.0,
    clutter=0.0,
)

SMALL = Recipe(
    name="small",
    side=256,
    net=NetSpec(
        widths=(24, 48, 96, 192),
        depths=(2, 3, 3, 3),
        decoder_depth=1,
        stem_stride=4,
        pools_decoder=True,
        whitens=True,
        dropout=0.2,
    ),
    loss=LossSpec(
        alphas=(1.0, 1.0, 0.3),
        smoothing=0.05,
        mask_ce=2.0,
        distance_ce=0.7,
        distance_stride=4,
        unit=Unit.DIAGONAL,
    ),
    global_stage=Stage(
        BatchSpec(
            composition=(7, 6, 3),
            phases=(Phase(0.0, 128, 1.0), Phase(0.5, 192, 1.0), Phase(0.8, 256, 1.0)),
            tumour_windows=0.0,
            least_tumour_px=0,
        ),
        _WIDE_VIEWS,
        Plan(Optimiser.ADAMW, Fall.COSINE, 8e-4, 0.03, steps=4000, minutes=None, observe_every=500, ema=0.995),
    ),
    patch_stage=Stage(
        BatchSpec(
            composition=(5, 7, 4),
            phases=(Phase(0.0, 192, 0.5), Phase(0.5, 256, 0.5)),
            tumour_windows=0.7,
            least_tumour_px=60,
        ),
        _WIDE_VIEWS,
        Plan(Optimiser.ADAMW, Fall.COSINE, 3e-4, 0.03, steps=1200, minutes=None, observe_every=500, ema=0.995, seed=2),
    ),
    patch_share=0.2,
)
"""Small views come first, because a step on them is cheap."""

PAPER = Recipe(
    name="paper",
    side=416,
    net=NetSpec(
        widths=(32, 64, 128, 256, 512),
        depths=(2, 2, 2, 2, 2),
        decoder_depth=2,
        stem_stride=1,
        pools_decoder=False,
        whitens=False,
        dropout=0.0,
    ),
    loss=LossSpec(
        alphas=(1.0, 1.0, 1.0),
        smoothing=0.0,
        mask_ce=0.0,
        distance_ce=0.0,
        distance_stride=1,
        unit=Unit.LARGEST,
    ),
    global_stage=Stage(
        BatchSpec(composition=(3, 3, 2), phases=(Phase(0.0, 416, 1.0),), tumour_windows=0.0, least_tumour_px=0),
        _PLAIN_VIEWS,
        Plan(Optimiser.ADAM, Fall.PLATEAU, 1e-3, 0.0, steps=40_000, minutes=None, observe_every=160, ema=0.0, clip=0.0),
    ),
    patch_stage=Stage(
        BatchSpec(composition=(3, 3, 2), phases=(Phase(0.0, 416, 0.5),), tumour_windows=0.5, least_tumour_px=500),
        _PLAIN_VIEWS,
        Plan(
            Optimiser.SGD,
            Fall.PLATEAU,
            4e-4,
            0.0,
            steps=40_000,
            minutes=None,
            observe_every=160,
            ema=0.0,
            clip=0.0,
            seed=2,
        ),
    ),
    patch_share=0.2,
)

RECIPES = {recipe.name: recipe for recipe in (SMALL, PAPER)}
