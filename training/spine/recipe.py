"""The three recipes of the spine system: what the paper states, what is done today, and what a CPU can train.

spine-wff: ResNeXt101 with deformable convolution, five pyramid levels, MultiScale-SelfCutMix; N = 16 slices of
112 x 112 in a ResNeXt101; half labelled slices, half by index; classes balanced; four folds. It gives no optimiser, no
batch and no image size: SGD 0.01 with 0.9, two images, 512 x 512 are the usual ones for this detector, and ours.
"""

from dataclasses import dataclass

from training.loop import Fall, Optimiser, Plan
from training.run import digest_of
from training.spine.backbone import BackboneSpec
from training.spine.classifier import ClassifierSpec
from training.spine.classifier_batches import ClassifierBatchSpec
from training.spine.detector import DetectorSpec
from training.spine.detector_batches import DetectorBatchSpec
from training.spine.detector_loss import DetectorLossSpec


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the weights, beside the data."""

    name: str
    detector: DetectorSpec
    detector_loss: DetectorLossSpec
    detector_batches: DetectorBatchSpec
    detector_plan: Plan
    classifier: ClassifierSpec
    classifier_batches: ClassifierBatchSpec
    classifier_plan: Plan
    classifier_smoothing: float
    classifier_share: float
    """The classifier's share of a budget in minutes."""

    def digest(self) -> str:
        """Of the values above, see training.run.digest_of."""
        return digest_of(self)


_RESNEXT101 = BackboneSpec(
    channels=1,
    folds_stem=False,
    stem=64,
    inner=(128, 256, 512, 1024),
    outer=(256, 512, 1024, 2048),
    depths=(3, 4, 23, 3),
    groups=32,
    deforms=(False, True, True, True),
)

SMALL = Recipe(
    name="small",
    detector=DetectorSpec(
        size=(320, 320),
        backbone=BackboneSpec(
            channels=1,
            folds_stem=True,
            stem=32,
            inner=(32, 64, 64, 96),
            outer=(48, 96, 128, 192),
            depths=(1, 2, 2, 1),
            groups=4,
            deforms=(False, False, True, True),
        ),
        width=48,
        scale=3.5,
        ratios=(0.6, 1.0, 1.6),
        candidates=192,
        proposals=32,
        proposal_overlap=0.7,
        bins=7,
        hidden=160,
        overlap=0.3,
        boxes=8,
        prior=0.02,
        takes_roots=True,
    ),
    detector_loss=DetectorLossSpec(
        anchors=128,
        is_object=0.5,
        is_nothing=0.4,
        regions=32,
        is_region=0.5,
        candidates=192,
        proposals=48,
        asks_all=True,
        judges_overlap=True,
        beside=4,
        most=0.4,
    ),
    detector_batches=DetectorBatchSpec(
        images=8, empty=0.25, cutmix=0.2, scale=0.2, rotation_deg=5.0, shift=0.04, grey=0.5, window=(320, 160)
    ),
    detector_plan=Plan(
        Optimiser.ADAMW, Fall.COSINE, 1.5e-3, 0.02, steps=5200, minutes=None, observe_every=1300, ema=0.996
    ),
    classifier=ClassifierSpec(
        ndim=2,
        folds_stem=True,
        stem=48,
        inner=(32, 64, 96),
        outer=(64, 128, 192),
        depths=(1, 2, 2),
        groups=8,
        dropout=0.3,
        takes_roots=True,
    ),
    classifier_batches=ClassifierBatchSpec(sequences=16, labelled=0.5, margin=1.3, jitter=0.10, grey=0.5),
    classifier_plan=Plan(
        Optimiser.ADAMW, Fall.COSINE, 1.5e-3, 0.05, steps=2000, minutes=None, observe_every=500, ema=0.997, seed=2
    ),
    classifier_smoothing=0.05,
    classifier_share=0.3,
)
"""The one that ships: under 3 million parameters in both networks, deformable where maps are small."""

STRONG = Recipe(
    name="strong",
    detector=DetectorSpec(
        size=(384, 384),
        backbone=BackboneSpec(
            channels=1,
            folds_stem=False,
            stem=64,
            inner=(128, 256, 512, 1024),
            outer=(256, 512, 1024, 2048),
            depths=(3, 4, 6, 3),
            groups=32,
            deforms=(False, True, True, True),
        ),
        width=256,
        scale=4.0,
        ratios=(0.5, 1.0, 2.0),
        candidates=1000,
        proposals=128,
        proposal_overlap=0.7,
        bins=7,
        hidden=1024,
        overlap=0.3,
        boxes=8,
    ),
    detector_loss=DetectorLossSpec(
        anchors=256,
        is_object=0.6,
        is_nothing=0.3,
        regions=128,
        is_region=0.5,
        candidates=1000,
        proposals=256,
        smoothing=0.05,
        judges_overlap=True,
    ),
    detector_batches=DetectorBatchSpec(
        images=16, empty=0.25, cutmix=0.5, scale=0.4, rotation_deg=8.0, shift=0.1, grey=1.0
    ),
    detector_plan=Plan(
        Optimiser.ADAMW, Fall.COSINE, 2e-4, 0.05, steps=20_000, minutes=None, observe_every=1000, ema=0.999
    ),
    classifier=ClassifierSpec(
        ndim=3,
        folds_stem=False,
        stem=64,
        inner=(128, 256, 512, 1024),
        outer=(256, 512, 1024, 2048),
        depths=(3, 4, 6, 3),
        groups=32,
        dropout=0.4,
    ),
    classifier_batches=ClassifierBatchSpec(sequences=32, labelled=0.5, margin=1.3, jitter=0.12, grey=1.0),
    classifier_plan=Plan(
        Optimiser.ADAMW, Fall.COSINE, 2e-4, 0.05, steps=10_000, minutes=None, observe_every=1000, ema=0.999, seed=2
    ),
    classifier_smoothing=0.05,
    classifier_share=0.3,
)
"""For a GPU: half the depth, AdamW and a cosine, averaged weights, greys that vary more, a margin around the crop.
Never trained.

Of what the strong presets of networks that outline have, a detector and a classifier have this. Residual encoder: both
are ResNeXts. Deep supervision: one head asks the anchors of all five levels of the pyramid, each with boxes of its
size; the classifier has one answer and no levels. Dice + cross-entropy: there are no masks, so overlap is judged where
there is one, of boxes (generalised IoU), beside the cross-entropies of anchors, regions and sequences. AdamW, cosine
and averaged weights: both. Foreground oversampling: three images of four show a lesion, up to half of the anchors and
a quarter of the regions that are asked hold one; benign and malignant come alike. nnU-Net's rules are not taken: a
slice comes as a whole to the size of the input, a box to that of the crop, so a spacing has no place; grey values are
stretched by percentiles, of which training data keep 8 bits, so there are no z-scores."""

PAPER = Recipe(
    name="paper",
    detector=DetectorSpec(
        size=(512, 512),
        backbone=_RESNEXT101,
        width=256,
        scale=8.0,
        ratios=(0.5, 1.0, 2.0),
        candidates=2000,
        proposals=300,
        proposal_overlap=0.7,
        bins=7,
        hidden=1024,
        overlap=0.5,
        boxes=8,
    ),
    detector_loss=DetectorLossSpec(
        anchors=256, is_object=0.7, is_nothing=0.3, regions=512, is_region=0.5, candidates=2000, proposals=1000
    ),
    detector_batches=DetectorBatchSpec(
        images=2, empty=0.0, cutmix=0.5, scale=0.0, rotation_deg=0.0, shift=0.0, grey=0.0
    ),
    detector_plan=Plan(
        Optimiser.SGD, Fall.PLATEAU, 0.01, 1e-4, steps=90_000, minutes=None, observe_every=7889, ema=0.0, clip=35.0
    ),
    classifier=ClassifierSpec(
        ndim=3,
        folds_stem=False,
        stem=64,
        inner=(128, 256, 512, 1024),
        outer=(256, 512, 1024, 2048),
        depths=(3, 4, 23, 3),
        groups=32,
        dropout=0.0,
    ),
    classifier_batches=ClassifierBatchSpec(sequences=16, labelled=0.5, margin=1.0, jitter=0.0, grey=0.0),
    classifier_plan=Plan(
        Optimiser.SGD,
        Fall.PLATEAU,
        0.01,
        1e-4,
        steps=20_000,
        minutes=None,
        observe_every=102,
        ema=0.0,
        clip=0.0,
        seed=2,
    ),
    classifier_smoothing=0.0,
    classifier_share=0.3,
)
"""An epoch is 15,778 images in pairs, or 1,625 sequences in sixteens."""

RECIPES = {recipe.name: recipe for recipe in (SMALL, STRONG, PAPER)}
