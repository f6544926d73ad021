"""Quick scores of one network on images or windows while it trains; what is published, the node's pipeline measures."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.metrics import dice, roc_auc
from training.knee.batches import Batch
from training.knee.dataset import Radiographs
from training.knee.serving import Served

_BATCH = 32


class Seen(NamedTuple):
    """What a network says of views, and what each is."""

    classes: npt.NDArray[np.float64]
    """`(n, 3)` probabilities."""
    dices: npt.NDArray[np.float64]
    """`(n,)`, of the mask at one half; NaN where both are empty."""
    labels: npt.NDArray[np.int64]

    @property
    def auc(self) -> float:
        """Of tumour against normal."""
        return roc_auc(1.0 - self.classes[:, 0], self.labels > 0)


@torch.no_grad()
def answers(
    net: nn.Module, data: Radiographs, indices: Sequence[int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Class probabilities `(n, 3)`, and Dice of the mask at one half `(n,)`, NaN where both are empty."""
    net.eval()
    classes, dices = [], []
    for start in range(0, len(indices), _BATCH):
        part = np.array(indices[start : start + _BATCH])
        images = torch.from_numpy(data.images[part]).float().div_(255.0)[:, None]
        outputs = net(images.contiguous(memory_format=torch.channels_last))
        classes.append(torch.softmax(outputs.class_logits, dim=1).double().numpy())
        masks = outputs.mask_logits[:, 0].numpy() > 0.0
        dices += [dice(wanted > 0, mask) for mask, wanted in zip(masks, data.masks[part], strict=True)]
    return np.concatenate(classes), np.array(dices)


@torch.no_grad()
def seen(net: nn.Module, batches: Iterable[Batch]) -> Seen:
    """The same of views that were drawn, windows of images for one."""
    net.eval()
    parts = []
    for batch in batches:
        outputs = net(batch.images)
        masks, wanted = (each[:, 0].numpy() > 0.0 for each in (outputs.mask_logits, batch.targets.mask))
        dices = [dice(one, other) for one, other in zip(wanted, masks, strict=True)]
        classes = torch.softmax(outputs.class_logits, dim=1).double().numpy()
        parts.append((classes, np.array(dices), batch.targets.labels.numpy()))
    return Seen(*(np.concatenate(each) for each in zip(*parts, strict=True)))


@torch.no_grad()
def features(served: Served, data: Radiographs, indices: Sequence[int]) -> torch.Tensor:
    """The features `(n, width)` of images as they lie in the collection, by which a new one is strange or not."""
    parts = []
    for start in range(0, len(indices), _BATCH):
        part = np.array(indices[start : start + _BATCH])
        images = torch.from_numpy(data.images[part]).float().div_(255.0)[:, None]
        parts.append(served.eval().outputs(images.contiguous(memory_format=torch.channels_last)).features)
    return torch.cat(parts)
