"""A network in torch where the node has an exported one: so its pipeline judges one that no file holds yet."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.session import Session

Array = npt.NDArray[np.float32]


class TorchSession(Session):
    """A network that answers with a named tuple of tensors.

    Parameters
    ----------
    unsaid
        Names of answers, `(batch, 1)` each, that the node asks for: no numbers where the network does not say them.
    """

    def __init__(self, net: nn.Module, unsaid: Sequence[str] = ()) -> None:
        self._net = net
        self._unsaid = tuple(unsaid)
        self.provider = "torch"

    @torch.no_grad()
    def run(self, images: Array) -> dict[str, Array]:
        """As `Session.run`."""
        said = self._net(torch.from_numpy(np.ascontiguousarray(images)))
        unsaid = {name: np.full((len(images), 1), np.nan, dtype=np.float32) for name in self._unsaid}
        return unsaid | {name: value.numpy() for name, value in said._asdict().items()}
