"""The detector: Faster R-CNN with three classes on a pyramid of deformable ResNeXt maps (spine-wff, "Detection model").

One network from an image to a fixed number of boxes, so that one ONNX graph holds all of it. Every region is looked at
on every level and the levels that are not its own are masked, which costs little and leaves no shape that depends on
data. A region has one box, not one per class, and keeps its three probabilities, because Eq. 1 needs them; overlaps are
suppressed by the probability of any tumour.

Legend: boxes `(b, n, 4)`: left, top, right, bottom in pixels of the input; classes: background, benign, malignant.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.spine import boxes
from training.spine.backbone import BackboneSpec, Pyramid, ResNeXt
from training.spine.ops import roi_align, survivors

CLASSES = ("background", "benign", "malignant")
STRIDES = (4, 8, 16, 32, 64)
PROPOSAL_WEIGHTS = (1.0, 1.0)
REGION_WEIGHTS = (10.0, 5.0)


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """A detector and the numbers of regions that pass through it."""

    size: tuple[int, int]
    """Rows and columns of the input; multiples of 32."""
    backbone: BackboneSpec
    width: int
    """Channels of the pyramid."""
    scale: float
    """Sides of the anchors in strides of their level."""
    ratios: tuple[float, ...]
    candidates: int
    """Best anchors that are moved and compared."""
    proposals: int
    """Regions that are looked at closely."""
    proposal_overlap: float
    bins: int
    """Side of what the second stage sees of a region."""
    hidden: int
    overlap: float
    """Of two boxes that overlap by more, the worse is dropped."""
    boxes: int
    """Boxes per image in the answer."""
    prior: float = 0.5
    """Chance that an anchor holds something, before anything was learned."""
    takes_roots: bool = False
    """Whether the network sees square roots of grey values: what is dark beside bright fat or fluid comes forward."""


class Outputs(NamedTuple):
    """What service sees; surplus places hold zeros."""

    boxes: Tensor
    """`(b, boxes, 4)`."""
    probabilities: Tensor
    """`(b, boxes, 3)`, the likeliest tumour first."""


class Proposed(NamedTuple):
    """What the first stage says of every anchor."""

    logits: Tensor
    """`(b, anchors)`."""
    moves: Tensor
    """`(b, anchors, 4)`."""


class ProposalHead(nn.Module):
    """Which anchors hold something, and where exactly (RPN); one for all levels."""

    def __init__(self, width: int, ratios: int, prior: float) -> None:
        super().__init__()
        self.shared = nn.Conv2d(width, width, 3, 1, 1)
        self.logit = nn.Conv2d(width, ratios, 1)
        self.move = nn.Conv2d(width, 4 * ratios, 1)
        for layer in (self.shared, self.logit, self.move):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        nn.init.constant_(self.logit.bias, math.log(prior / (1.0 - prior)))  # type: ignore[arg-type]  # it has one

    def forward(self, levels: list[Tensor]) -> Proposed:
        """All levels behind one another, in the order of `boxes.anchors`."""
        logits, moves = [], []
        for level in levels:
            seen = functional.relu(self.shared(level))
            logits.append(self.logit(seen).permute(0, 2, 3, 1).flatten(1))
            moves.append(self.move(seen).permute(0, 2, 3, 1).reshape(level.shape[0], -1, 4))
        return Proposed(torch.cat(logits, 1), torch.cat(moves, 1))


class Detector(nn.Module):
    """See the module."""

    anchors: Tensor

    def __init__(self, spec: DetectorSpec) -> None:
        super().__init__()
        self.spec = spec
        self.backbone = ResNeXt(spec.backbone)
        self.pyramid = Pyramid(spec.backbone.outer, spec.width)
        self.proposer = ProposalHead(spec.width, len(spec.ratios), spec.prior)
        self.head = nn.Sequential(
            nn.Linear(spec.width * spec.bins**2, spec.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(spec.hidden, spec.hidden),
            nn.ReLU(inplace=True),
        )
        self.classify = nn.Linear(spec.hidden, len(CLASSES))
        self.refine = nn.Linear(spec.hidden, 4)
        nn.init.normal_(self.classify.weight, std=0.01)
        nn.init.normal_(self.refine.weight, std=0.001)
        self.register_buffer("anchors", boxes.anchors(spec.size, STRIDES, spec.scale, spec.ratios), persistent=False)

    def levels(self, image: Tensor) -> list[Tensor]:
        """The pyramid, the finest level first."""
        seen = image.clamp(min=0.0).sqrt() if self.spec.takes_roots else image
        maps: list[Tensor] = self.pyramid(self.backbone(seen))
        return maps

    def proposals(self, proposed: Proposed, candidates: int, count: int) -> Tensor:
        """`(b, count, 4)`: the best anchors, moved, without those that overlap a better one."""
        best, places = proposed.logits.topk(candidates, dim=1)
        start = self.anchors[places]
        move = proposed.moves.gather(1, places[..., None].expand(-1, -1, 4))
        found = boxes.moved(start, move, PROPOSAL_WEIGHTS, self.spec.size)
        score = best.sigmoid()
        kept = survivors(found, score, self.spec.proposal_overlap, count)
        _, order = torch.where(kept > 0.5, score, score - 2.0).topk(count, dim=1)
        return found.gather(1, order[..., None].expand(-1, -1, 4))

    def judge(self, levels: list[Tensor], regions: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits `(b, n, 3)` and moves `(b, n, 4)` of regions `(b, n, 4)`."""
        owner = self._owner(regions)
        seen = torch.zeros((), device=regions.device)
        for place, (level, stride) in enumerate(zip(levels, STRIDES, strict=True)):
            mine = (owner == place).to(level.dtype)[..., None, None, None]
            if not torch.compiler.is_exporting() and not mine.any():
                continue  # nothing to look at on this level; a graph looks all the same
            seen = seen + mine * roi_align(level, regions, 1.0 / stride, self.spec.bins, 2)
        hidden = self.head(seen.flatten(2))
        return self.classify(hidden), self.refine(hidden)

    def forward(self, image: Tensor) -> Outputs:
        """From `(b, channels, rows, columns)` to the boxes of each image."""
        levels = self.levels(image)
        regions = self.proposals(self.proposer(levels), self.spec.candidates, self.spec.proposals)
        logits, move = self.judge(levels, regions)
        probabilities = logits.softmax(-1)
        found = boxes.moved(regions, move, REGION_WEIGHTS, self.spec.size)
        score = 1.0 - probabilities[..., 0]
        kept = survivors(found, score, self.spec.overlap, self.spec.boxes)
        best, order = (score * kept).topk(self.spec.boxes, dim=1)
        real = (best > 0.0).to(found.dtype)[..., None]
        return Outputs(
            found.gather(1, order[..., None].expand(-1, -1, 4)) * real,
            probabilities.gather(1, order[..., None].expand(-1, -1, 3)) * real,
        )

    def _owner(self, regions: Tensor) -> Tensor:
        """The level whose anchors are nearest in size: the finest up to 1.4 of them, and so on by doubling."""
        side = boxes.area(regions).clamp(min=1.0).sqrt()
        return (side / (self.spec.scale * STRIDES[0])).log2().round().clamp(0, len(STRIDES) - 1)
