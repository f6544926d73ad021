"""Brings the weights of a smaller network into a wider and deeper one that at first answers as the smaller one does.

What is new says nothing yet: channels that no old channel listens to, and residual convolutions whose norm multiplies
by 0 (after Chen, Goodfellow and Shlens 2016, Net2Net, arXiv:1511.05641, where new channels are copies of old ones).
Drawn at random, it learns from the first step on, and what was learned before stays.

Legend: weights of convolutions are `(out, in, rows, columns)` (of transposed ones `(in, out, ...)`), of linear layers
`(out, in)`, of norms `(channels,)`.
"""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from training.errors import RunFault

State = Mapping[str, Tensor]
Parts = Mapping[str, tuple[int, ...]]


@runtime_checkable
class Growing(Protocol):
    """A network that may begin with the weights of a smaller one of its kind."""

    def get_submodule(self, target: str) -> nn.Module:
        """As any `nn.Module` has it."""

    def joined(self, state: State) -> Parts:
        """How many channels has each part of what is joined before a layer, by the names of the layers that see parts.

        `state` is that of this network or of a smaller one: its shapes say.
        """

    def additions(self, state: State) -> tuple[str, ...]:
        """The residual convolutions that the network of `state` lacks, by name; each has its norm behind it, as 1."""


def grown(net: Growing, drawn: State, given: State) -> dict[str, Tensor]:
    """The state of a network with the weights of a smaller one in it.

    Parameters
    ----------
    drawn
        The state of `net`, as its recipe draws it.
    given
        The weights of the smaller one, by the same names; both take and give the same, which the caller knows. What is
        larger than in `net`, or not in it, stays as it is.

    Raises
    ------
    RunFault
        The smaller one has fewer levels, or joins other parts.
    """
    try:
        before, after = net.joined(given), net.joined(drawn)
    except KeyError as exc:
        raise RunFault(f"A network without {exc} cannot grow to one that has it: it has fewer levels.") from exc
    state = dict(given)
    for name, value in given.items():
        layer = name.rpartition(".")[0]
        if name in drawn and _fits(value, drawn[name]):
            places = _places(before.get(layer, ()), after.get(layer, ()))
            turned = value.ndim > 1 and isinstance(net.get_submodule(layer), nn.ConvTranspose2d)
            both = [each.transpose(0, 1) if turned else each for each in (drawn[name], value)]
            wide = _widened(both[0], both[1], places)
            state[name] = wide.transpose(0, 1).contiguous() if turned else wide
    for conv in net.additions(given):
        mine = {name: value for name, value in drawn.items() if name.startswith(f"{conv}.")}
        state |= mine | {f"{conv}.1.weight": torch.zeros_like(drawn[f"{conv}.1.weight"])}
    return state


def _fits(value: Tensor, drawn: Tensor) -> bool:
    """Whether weights find place in those of a larger network, whose kernels are the same."""
    pairs = list(zip(value.shape, drawn.shape, strict=False))
    return (
        value.ndim == drawn.ndim
        and all(old <= new for old, new in pairs[:2])
        and all(old == new for old, new in pairs[2:])
    )


def _places(before: tuple[int, ...], after: tuple[int, ...]) -> Tensor:
    """Where in the larger network the channels are that the smaller one joins, part by part."""
    starts = [sum(after[:number]) for number in range(len(after))]
    return torch.cat(
        [
            torch.zeros(0, dtype=torch.long),
            *(start + torch.arange(width) for start, width in zip(starts, before, strict=True)),
        ]
    )


def _widened(drawn: Tensor, value: Tensor, places: Tensor) -> Tensor:
    """`drawn` with `value` in it; the outputs of `value` take nothing from inputs that it has not."""
    if value.ndim == 0:
        return value
    wide, axis = drawn.clone(), min(1, value.ndim - 1)
    if not len(places) or value.shape[axis] == wide.shape[axis]:
        places = torch.arange(value.shape[axis])
    elif value.shape[axis] != len(places):
        raise RunFault(f"{value.shape[axis]} channels are not the {len(places)} of the parts that are joined.")
    if axis == 0:
        wide[places] = value
        return wide
    rows = torch.zeros_like(wide[: len(value)])
    rows[:, places] = value
    wide[: len(value)] = rows
    return wide
