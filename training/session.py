"""A network in torch where the node has an exported one: so its pipeline judges one that no file holds yet."""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.session import Session

Array = npt.NDArray[np.float32]
STRANGENESS = "strangeness"


class TorchSession(Session):
    """A network that answers with a named tuple of tensors."""

    def __init__(self, net: nn.Module) -> None:
        self._net = net
        self.provider = "torch"

    @torch.no_grad()
    def run(self, images: Array) -> dict[str, Array]:
        """As `Session.run`; how strange an image is, is no number where the network does not say."""
        said = self._net(torch.from_numpy(np.ascontiguousarray(images)))
        unknown = np.full((len(images), 1), np.nan, dtype=np.float32)
        return {STRANGENESS: unknown} | {name: value.numpy() for name, value in said._asdict().items()}
