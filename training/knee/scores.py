"""Quick scores of one network on whole images while it trains; what is published comes from the node's own pipeline."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.metrics import dice
from training.knee.dataset import Radiographs
from training.knee.serving import Served

_BATCH = 32


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
def features(served: Served, data: Radiographs, indices: Sequence[int]) -> torch.Tensor:
    """The features `(n, width)` of images as they lie in the collection, by which a new one is strange or not."""
    parts = []
    for start in range(0, len(indices), _BATCH):
        part = np.array(indices[start : start + _BATCH])
        images = torch.from_numpy(data.images[part]).float().div_(255.0)[:, None]
        parts.append(served.eval().outputs(images.contiguous(memory_format=torch.channels_last)).features)
    return torch.cat(parts)
