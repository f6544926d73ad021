"""The recipes of the knee system: what the paper states, what is done today, and what a CPU can train.

knee-seg-unet §2.3: 416 x 416; global model Adam 1e-3, patch model SGD 4e-4 from the global weights, both reduced on a
plateau and stopped early after 20 epochs; rotation, flip, crop; loss weights 1, 1, 1 (A4). Patches are 416 x 416 pixels
of the original image (§2.3), regions below about 500 of these pixels are dropped (appendix B.3). The paper gives no
widths and no batch size; U-Net's halved widths and 8 are ours. So are T = 0.2 of A6 (MODELS.md §5.3, decision 2) and
the tumour pixels from which a patch is no normal one: as many as the smallest region has. BTXRD says no spacing, so
that the limit stays one of pixels (decision 8).
"""

from dataclasses import dataclass, replace

from training.knee.augment import AugmentSpec
from training.knee.batches import BatchSpec, Phase
from training.knee.losses import LossSpec, Unit
from training.knee.nets import NetSpec
from training.loop import Fall, Optimiser, Plan
from training.run import digest_of


@dataclass(frozen=True, slots=True)
class Stage:
    """How one of the two models is trained."""

    batches: BatchSpec
    plan: Plan


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the weights, beside the data."""

    name: str
    side: int
    """Rows and columns of the input."""
    looks: int
    """Rows and columns that the global network looks at within the input, in service and while it is examined."""
    net: NetSpec
    loss: LossSpec
    global_stage: Stage
    patch_stage: Stage
    patch_share: float
    """The patch model's share of a budget in minutes."""
    region_min_source_px: float | None = None
    """The smallest region of an answer in pixels of the image itself; None has the limits of bundle.py."""
    normal_total: float = 1.0
    """T of A6 before a calibration chooses it; 1 switches the rule off."""

    @property
    def window_px(self) -> int | None:
        """The side of the patch network's windows in pixels of the image itself, in training and in service."""
        return self.patch_stage.batches.window_px

    def digest(self) -> str:
        """Of the values above, see training.run.digest_of; those that came later count where they change something."""
        later = {"deep_levels": 1, "window_px": None, "mixed": 0.0, "region_min_source_px": None}
        later |= {"normal_total": 1.0, "balanced": True, "fine": 0}
        return digest_of(self, later=later)


_LIGHT_VIEWS = AugmentSpec(
    scale=0.10,
    aspect=0.12,
    rotation_deg=7.0,
    shift=0.05,
    flip_columns=0.5,
    flip_rows=0.0,
    quarter_turn=0.0,
    grey=0.4,
    tone=0.0,
    degrade=0.06,
    clutter=0.04,
)
_STRONG_VIEWS = AugmentSpec(
    scale=0.15,
    aspect=0.15,
    rotation_deg=10.0,
    shift=0.06,
    flip_columns=0.5,
    flip_rows=0.05,
    quarter_turn=0.02,
    grey=0.6,
    tone=0.6,
    degrade=0.12,
    clutter=0.08,
)
_WIDE_VIEWS = replace(_STRONG_VIEWS, scale=0.2, aspect=0.2, rotation_deg=15.0, shift=0.1, flip_rows=0.1)
_PLAIN_VIEWS = AugmentSpec(
    scale=0.10,
    aspect=0.0,
    rotation_deg=10.0,
    shift=0.05,
    flip_columns=0.5,
    flip_rows=0.0,
    quarter_turn=0.0,
    grey=0.0,
    tone=0.0,
    degrade=0.0,
    clutter=0.0,
)

SMALL = Recipe(
    name="small",
    side=256,
    looks=192,
    net=NetSpec(
        widths=(32, 64, 128, 256),
        depths=(2, 3, 3, 3),
        decoder_depth=2,
        stem_stride=4,
        pools_decoder=True,
        whitens=True,
        evens=True,
        dropout=0.3,
    ),
    loss=LossSpec(
        alphas=(1.5, 0.7, 0.2),
        smoothing=0.05,
        mask_ce=1.0,
        distance_ce=0.7,
        distance_stride=4,
        unit=Unit.DIAGONAL,
    ),
    global_stage=Stage(
        BatchSpec(
            composition=(7, 6, 3),
            phases=(
                Phase(0.0, 128, _LIGHT_VIEWS, windows=0.375, half_sides=(0.4, 0.75)),
                Phase(0.35, 128, _STRONG_VIEWS, windows=0.375, half_sides=(0.4, 0.75)),
                Phase(0.7, 192, _STRONG_VIEWS, windows=0.25, half_sides=(0.5, 0.8)),
            ),
            tumour_windows=0.5,
            least_tumour_px=40,
        ),
        Plan(
            Optimiser.ADAMW,
            Fall.COSINE,
            1.5e-3,
            0.05,
            steps=8_000,
            minutes=None,
            observe_every=800,
            ema=0.998,
            bfloat16=True,
        ),
    ),
    patch_stage=Stage(
        BatchSpec(
            composition=(5, 7, 4),
            phases=(Phase(0.0, 192, _STRONG_VIEWS, windows=1.0),),
            tumour_windows=0.7,
            least_tumour_px=60,
        ),
        Plan(
            Optimiser.ADAMW,
            Fall.COSINE,
            4e-4,
            0.05,
            steps=1000,
            minutes=None,
            observe_every=500,
            ema=0.995,
            bfloat16=True,
            seed=2,
        ),
    ),
    patch_share=0.18,
)
"""Small views come first, because a step on them is cheap, and light ones, because with strong ones the classes are
learned several times more slowly. Normal and tumour images of the collection come from different sources; a net told
them apart by the sources until a third of each batch was seen through windows, of which many show a part of a tumour
image that holds none, and until it saw grey values only relative to their surroundings."""

TUNE = replace(
    SMALL,
    name="tune",
    looks=256,
    net=replace(SMALL.net, widths=(64, 80, 128, 256), fine=16),
    loss=replace(SMALL.loss, alphas=(0.6, 1.3, 0.2), smoothing=0.1, mask_ce=2.0, balanced=False),
    global_stage=Stage(
        replace(
            SMALL.global_stage.batches,
            phases=(
                Phase(0.0, 192, _WIDE_VIEWS, windows=0.375, half_sides=(0.4, 0.8), mixed=0.5),
                Phase(0.3, 256, _WIDE_VIEWS, windows=0.25, half_sides=(0.5, 0.8), mixed=0.5),
            ),
        ),
        replace(SMALL.global_stage.plan, rate=1e-3, steps=4_000, observe_every=400),
    ),
    patch_stage=replace(
        SMALL.patch_stage,
        batches=replace(SMALL.patch_stage.batches, phases=(Phase(0.0, 192, _WIDE_VIEWS, windows=1.0, mixed=0.4),)),
    ),
)
"""What a trained small network goes on with (`--start BUNDLE`): no first small and light views, and in the end all
pixels that the collection has, where small tumours are more than a few of them. Masks count for more than in small: to
outline is what was learned least; classes count for less, and views are mixed, because a network that had seen the
images for hours told the classes of those it learned from ever better, and of others worse. All pixels of a mask count
alike: small begins where nothing is outlined, and would go on to outline nothing. The network is wider where it is
finest, and has a level of twice that grid: small's had a mean Dice of 0.37 on the small tumours that it had learned
from, however large it was shown them."""

STRONG = Recipe(
    name="strong",
    side=512,
    looks=512,
    net=replace(
        SMALL.net,
        widths=(32, 64, 128, 256, 320),
        depths=(2, 3, 4, 4, 4),
        decoder_depth=2,
        stem_stride=2,
        whitens=False,
        deep_levels=3,
    ),
    loss=replace(SMALL.loss, alphas=(1.0, 1.0, 0.3)),
    global_stage=Stage(
        BatchSpec(
            composition=(12, 13, 7),
            phases=(
                Phase(0.0, 256, _LIGHT_VIEWS, windows=0.375, half_sides=(0.4, 0.75)),
                Phase(0.25, 384, _STRONG_VIEWS, windows=0.375, half_sides=(0.4, 0.75)),
                Phase(0.7, 512, _STRONG_VIEWS, windows=0.25, half_sides=(0.5, 0.8)),
            ),
            tumour_windows=0.5,
            least_tumour_px=100,
        ),
        Plan(Optimiser.ADAMW, Fall.COSINE, 1e-3, 0.05, steps=40_000, minutes=None, observe_every=2000, ema=0.999),
    ),
    patch_stage=Stage(
        BatchSpec(
            composition=(10, 14, 8),
            phases=(Phase(0.0, 256, _STRONG_VIEWS, windows=1.0),),
            tumour_windows=0.7,
            least_tumour_px=150,
        ),
        Plan(
            Optimiser.ADAMW, Fall.COSINE, 3e-4, 0.05, steps=10_000, minutes=None, observe_every=1000, ema=0.999, seed=2
        ),
    ),
    patch_share=0.2,
)
"""For a GPU and images of full size: a deeper residual encoder at twice the resolution, Dice beside cross-entropy, the
mask supervised at three decoder levels, AdamW and a cosine, averaged weights, half of the windows on a tumour. Never
trained.

Of nnU-Net's rules two are met otherwise. Normalisation: grey values less their mean, by their deviation, but of the
surroundings and not of the image (`evens`), since levels differ within a film. Resampling: every image to one number of
pixels, since the collection says of none how large its pixels are."""

PAPER = Recipe(
    name="paper",
    side=416,
    looks=416,
    net=NetSpec(
        widths=(32, 64, 128, 256, 512),
        depths=(2, 2, 2, 2, 2),
        decoder_depth=2,
        stem_stride=1,
        pools_decoder=False,
        whitens=False,
        evens=False,
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
        BatchSpec(
            composition=(3, 3, 2), phases=(Phase(0.0, 416, _PLAIN_VIEWS),), tumour_windows=0.0, least_tumour_px=0
        ),
        Plan(Optimiser.ADAM, Fall.PLATEAU, 1e-3, 0.0, steps=40_000, minutes=None, observe_every=160, ema=0.0, clip=0.0),
    ),
    patch_stage=Stage(
        BatchSpec(
            composition=(3, 3, 2),
            phases=(Phase(0.0, 416, _PLAIN_VIEWS, windows=1.0),),
            tumour_windows=0.5,
            least_tumour_px=500,
            window_px=416,
        ),
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
    region_min_source_px=500.0,
    normal_total=0.2,
)

RECIPES = {recipe.name: recipe for recipe in (SMALL, TUNE, STRONG, PAPER)}


def ancestors(recipe: Recipe) -> tuple[Recipe, ...]:
    """The recipes whose networks that of this one may begin with, smallest first; it is the last itself."""
    known = [other for other in RECIPES.values() if other.net.becomes(recipe.net) and other.net != recipe.net]
    return (*sorted(known, key=lambda other: sum(other.net.widths)), recipe)
