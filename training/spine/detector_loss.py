"""What the detector is told: which anchors and regions hold a lesion, of which class, and where it is (Faster R-CNN).

As published, every image gives the same number of anchors and of regions, drawn at random, half and a quarter of them
with a lesion at most; images without a lesion give background only. A recipe may ask every anchor instead, so that what
is told with ease hardly weighs (focal loss, Lin et al. 2017), judge the boxes of regions by their overlap (generalised
IoU, Rezatofighi et al. 2019), and put boxes that lie beside a lesion among the regions: few images teach more that way.

Legend: truth is one `(n, 4)` and one `(n,)` per image, with the classes 1 (benign) and 2 (malignant).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from training.spine import boxes
from training.spine.detector import PROPOSAL_WEIGHTS, REGION_WEIGHTS, Detector, Proposed


@dataclass(frozen=True, slots=True)
class DetectorLossSpec:
    """How truth is dealt out."""

    anchors: int
    """Per image."""
    is_object: float
    """From this overlap on, an anchor holds a lesion; the best anchor of each lesion always does."""
    is_nothing: float
    """Below this overlap it does not; in between it is not asked."""
    regions: int
    """Per image."""
    is_region: float
    candidates: int
    """Anchors that become regions while training."""
    proposals: int
    smoothing: float = 0.0
    asks_all: bool = False
    """Whether every anchor is asked, by the focal loss, instead of `anchors` drawn ones."""
    judges_overlap: bool = False
    """Whether the boxes of regions are judged by generalised IoU, instead of their four numbers."""
    beside: int = 0
    """Boxes beside each lesion that become regions."""
    most: float = 0.25
    """Share of the regions that may hold a lesion."""


class Truth(NamedTuple):
    """The lesions of a batch, image by image."""

    boxes: Sequence[Tensor]
    classes: Sequence[Tensor]


class Parts(NamedTuple):
    """The four losses, each a scalar."""

    anchor: Tensor
    anchor_move: Tensor
    region: Tensor
    region_move: Tensor


ALPHA, GAMMA = 0.25, 2.0
"""Of the focal loss, as published."""
BESIDE = 0.2
"""How far the edges of a box beside a lesion wander, in sizes of the lesion (standard deviation)."""


class Dealt(NamedTuple):
    """What was drawn of one image."""

    places: Tensor
    positive: Tensor
    owners: Tensor
    """Which lesion each drawn place belongs to; 0 where to none."""


def losses(net: Detector, image: Tensor, truth: Truth, spec: DetectorLossSpec) -> Parts:
    """All four losses of one batch."""
    levels = net.levels(image)
    proposed = net.proposer(levels)
    ask = focal_losses if spec.asks_all else _anchor_losses
    anchor, anchor_move = ask(net, proposed, truth, spec)
    with torch.no_grad():
        regions = net.proposals(Proposed(*(part.detach() for part in proposed)), spec.candidates, spec.proposals)
    region, region_move = _region_losses(net, levels, regions, truth, spec)
    return Parts(anchor, anchor_move, region, region_move)


def _anchor_losses(net: Detector, proposed: Proposed, truth: Truth, spec: DetectorLossSpec) -> tuple[Tensor, Tensor]:
    logits, wanted, moves, targets = [], [], [], []
    for place, lesions in enumerate(truth.boxes):
        dealt = deal_anchors(net.anchors, lesions, spec)
        logits.append(proposed.logits[place, dealt.places])
        wanted.append(dealt.positive.to(logits[-1].dtype))
        mine = dealt.places[dealt.positive]
        moves.append(proposed.moves[place, mine])
        if len(mine):
            targets.append(boxes.moves(net.anchors[mine], lesions[dealt.owners[dealt.positive]], PROPOSAL_WEIGHTS))
    loss = functional.binary_cross_entropy_with_logits(torch.cat(logits), torch.cat(wanted))
    return loss, _move_loss(moves, targets, 1.0 / 9.0, sum(map(len, logits)))


def focal_losses(net: Detector, proposed: Proposed, truth: Truth, spec: DetectorLossSpec) -> tuple[Tensor, Tensor]:
    """Of all anchors, per lesion's anchor; those that overlap a lesion a little are not asked."""
    total, moves, targets = proposed.logits.new_zeros(()), [], []
    for place, lesions in enumerate(truth.boxes):
        logits = proposed.logits[place]
        positive, negative, owner = owned(net.anchors, lesions, spec)
        wanted = positive.to(logits.dtype)
        each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        sure = torch.where(positive, logits, -logits).sigmoid()
        weight = torch.where(positive, ALPHA, 1.0 - ALPHA) * (positive | negative) * (1.0 - sure) ** GAMMA
        total = total + (each * weight).sum()
        moves.append(proposed.moves[place, positive])
        if len(lesions):
            targets.append(boxes.moves(net.anchors[positive], lesions[owner[positive]], PROPOSAL_WEIGHTS))
    count = max(1, sum(map(len, moves)))
    return total / count, _move_loss(moves, targets, 1.0 / 9.0, count)


def _region_losses(
    net: Detector, levels: list[Tensor], regions: Tensor, truth: Truth, spec: DetectorLossSpec
) -> tuple[Tensor, Tensor]:
    chosen, wanted, owned = [], [], []
    for place, (lesions, classes) in enumerate(zip(truth.boxes, truth.classes, strict=True)):
        pool = torch.cat((regions[place], lesions, beside(lesions, spec.beside, net.spec.size)))
        dealt = deal_regions(pool, lesions, spec)
        chosen.append(pool[dealt.places])
        named = classes[dealt.owners] if len(classes) else torch.zeros_like(dealt.owners)
        wanted.append(torch.where(dealt.positive, named, 0))
        owned.append(lesions[dealt.owners] if len(lesions) else chosen[-1])
    seen, labels, end = torch.stack(chosen), torch.cat(wanted), torch.stack(owned)
    logits, move = net.judge(levels, seen)
    loss = functional.cross_entropy(logits.flatten(0, 1), labels, label_smoothing=spec.smoothing)
    positive = (labels > 0).view(move.shape[:2])
    if spec.judges_overlap:
        found = boxes.moved(seen[positive], move[positive], REGION_WEIGHTS, net.spec.size)
        return loss, (1.0 - boxes.generalised_overlap(found, end[positive])).sum() / max(1, len(found))
    targets = boxes.moves(seen[positive], end[positive], REGION_WEIGHTS)
    return loss, _move_loss([move[positive]], [targets], 1.0, labels.numel())


def _move_loss(moves: Sequence[Tensor], targets: Sequence[Tensor], bend: float, count: int) -> Tensor:
    """Smooth L1, summed over what holds a lesion and divided by all that was drawn."""
    said = torch.cat(list(moves))
    if not len(said):
        return said.sum()
    return functional.smooth_l1_loss(said, torch.cat(list(targets)), beta=bend, reduction="sum") / count


def deal_anchors(anchors: Tensor, lesions: Tensor, spec: DetectorLossSpec) -> Dealt:
    """Which anchors of one image are asked, and what the answer is."""
    if not len(lesions):
        places = torch.randint(len(anchors), (spec.anchors,), device=anchors.device)
        return Dealt(places, torch.zeros_like(places, dtype=torch.bool), torch.zeros_like(places))
    positive, negative, owner = owned(anchors, lesions, spec)
    return _drawn(positive, negative, owner, spec.anchors, spec.anchors // 2)


def owned(anchors: Tensor, lesions: Tensor, spec: DetectorLossSpec) -> tuple[Tensor, Tensor, Tensor]:
    """Of each anchor: whether it holds a lesion, whether it holds none, and which."""
    if not len(lesions):
        nothing = torch.zeros(len(anchors), dtype=torch.bool, device=anchors.device)
        return nothing, ~nothing, torch.zeros_like(nothing, dtype=torch.long)
    overlap = boxes.overlap(anchors, lesions)
    best, owner = overlap.max(dim=1)
    positive = best >= spec.is_object
    nearest = overlap.argmax(dim=0)
    positive[nearest] = True
    owner[nearest] = torch.arange(len(lesions), device=owner.device)
    return positive, ~positive & (best < spec.is_nothing), owner


def beside(lesions: Tensor, count: int, size: tuple[int, int]) -> Tensor:
    """`(n * count, 4)`: boxes whose edges lie a little beside those of the lesions, cut at the borders of the image."""
    each = lesions.repeat_interleave(count, dim=0)
    extent = (each[:, 2:] - each[:, :2]).repeat(1, 2)
    wandered = each + BESIDE * extent * torch.randn_like(each)
    left, top = torch.minimum(wandered[:, :2], wandered[:, 2:]).unbind(-1)
    right, bottom = torch.maximum(wandered[:, :2], wandered[:, 2:]).unbind(-1)
    rows, columns = float(size[0]), float(size[1])
    cut = (left.clamp(0.0, columns), top.clamp(0.0, rows), right.clamp(0.0, columns), bottom.clamp(0.0, rows))
    return torch.stack(cut, dim=-1)


def deal_regions(regions: Tensor, lesions: Tensor, spec: DetectorLossSpec) -> Dealt:
    """Which regions of one image are asked, and what the answer is."""
    if not len(lesions):
        nothing = torch.zeros(len(regions), dtype=torch.bool, device=regions.device)
        return _drawn(nothing, ~nothing, torch.zeros_like(nothing, dtype=torch.long), spec.regions, 0)
    best, owner = boxes.overlap(regions, lesions).max(dim=1)
    positive = best >= spec.is_region
    return _drawn(positive, ~positive, owner, spec.regions, int(spec.regions * spec.most))


def _drawn(positive: Tensor, negative: Tensor, owner: Tensor, count: int, most: int) -> Dealt:
    """`count` places: up to `most` positive ones, and negative ones, repeated where there are too few."""
    mine, others = positive.nonzero()[:, 0], negative.nonzero()[:, 0]
    mine = mine[torch.randperm(len(mine), device=mine.device)[:most]]
    if not len(others):
        others = mine if len(mine) else positive.new_zeros(1, dtype=torch.long)
    rest = count - len(mine)
    order = torch.randperm(len(others), device=others.device)
    order = order.repeat(-(-rest // len(others)))[:rest]
    places = torch.cat((mine, others[order]))
    return Dealt(places, positive[places], owner[places])
