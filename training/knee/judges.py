"""Who judges the validation images of a bundle: each is judged by the networks that have not learned from it.

Mostly that is the bundle as it is. Where some of its networks were taught by all of the validation part but one turn
(`fit --turn`), the images of a turn are judged by the networks of that turn and by those that have seen none of the
part; what ships has more networks than any of these, and calibration takes it to be alike.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.card import Bundle, KneeCard
from models.knee import ROLES, contract
from models.session import Device, Session, SessionOptions, open_session
from training.errors import RunFault
from training.familiarity import kept_in
from training.knee.dataset import Radiographs
from training.knee.fit import DISTANCE, HEADS
from training.knee.nets import SegUNet
from training.knee.recipe import RECIPES, ancestors
from training.knee.serving import Served, ServeSpec
from training.parts import VALIDATION
from training.split import Turn, turn_of
from training.start import NETWORKS
from training.together import restored

OUTLINED_BY = "outlined_by"
"""Of a card: how many of several networks outline, where not all do."""
JUDGED = "validation_judged"
JUDGED_APART = "each image by the networks that have not learned from it"
"""Of a card: by whom, where not by all networks."""
TURNS = "turns"
"""Of a card: of each network the turn of the validation part that has taught it nothing; "" where none of it has."""

Array = npt.NDArray[np.float32]


class Judge(NamedTuple):
    """Both networks, as the node would run them, and the images that they have not learned from."""

    whole: Session
    patch: Session
    indices: tuple[int, ...]
    knows_strangers: bool = True
    """Whether the network that tells how strange an image is, is among them."""


def turns_in(training: Mapping[str, object]) -> tuple[str, ...]:
    """What the [training] part of a card says of the turns of its networks; nothing where all have seen none of it."""
    told = training.get(TURNS, [])
    return tuple(map(str, told)) if isinstance(told, list) else ()


def turns_of(own: str, members: Sequence[Mapping[str, object]]) -> dict[str, list[str | int | float | bool]]:
    """What the card of several networks must say of their turns.

    Parameters
    ----------
    own
        The turn of the run, "" where it had none.
    members
        The [training] parts of the cards of the others.
    """
    told = [own]
    for training in members:
        told += turns_in(training) or ("",) * int(str(training.get(NETWORKS, 1)))
    return {TURNS: list(told)} if any(told) else {}


def whole(bundle: Bundle[KneeCard], indices: Sequence[int], threads: int = 1) -> list[Judge]:
    """The bundle as it is, which has learned from none of these images."""
    options = SessionOptions(device=Device.CPU, threads=threads)
    net, patch = (open_session(bundle.files[role], role, contract(bundle.card, role), options) for role in ROLES)
    return [Judge(net, patch, tuple(indices))]


def of_validation(bundle: Bundle[KneeCard], data: Radiographs, threads: int = 1) -> list[Judge]:
    """Those of the validation part.

    Raises
    ------
    RunFault
        Networks have turns of different counts, or nobody is left to judge or to outline some of the images.
    """
    turns = [turn_of(each) for each in turns_in(bundle.card.training) if each]
    if not turns:
        return whole(bundle, data.split().validation, threads)
    count = turns[0].count
    if {turn.count for turn in turns} != {count}:
        raise RunFault(f"Networks of {bundle.folder} have turns of different counts. Join those of one count.")
    torch.set_num_threads(threads)
    each = [Turn(number, count) for number in range(1, count + 1)]
    return [_judge(bundle, turn, data.split(turn).validation) for turn in each]


def refuse_taught(training: Mapping[str, object], part: str) -> None:
    """See to it that a bundle is not measured on images that some of its networks learned from.

    Raises
    ------
    RunFault
        It would be.
    """
    if part == VALIDATION and turns_in(training):
        raise RunFault(
            "Networks of this bundle have learned from the validation part (fit --turn); only calibrate judges it by "
            "those that have not. Measure it on --part test, or on all of another set."
        )


def _judge(bundle: Bundle[KneeCard], turn: Turn, indices: Sequence[int]) -> Judge:
    allowed = [place for place, each in enumerate(turns_in(bundle.card.training)) if each in ("", str(turn))]
    count = int(str(bundle.card.training.get(OUTLINED_BY, 0)))
    outline = [place for place in allowed if not count or place < count]
    if not outline:
        raise RunFault(
            f"All networks of {bundle.folder} that outline have learned from turn {turn}. Join one that has not."
        )
    whole, patch = (_session(bundle, role, allowed, len(outline)) for role in ROLES)
    return Judge(whole, patch, tuple(indices), knows_strangers=0 in allowed)


def _session(bundle: Bundle[KneeCard], role: str, allowed: Sequence[int], outline: int) -> Session:
    training, path = bundle.card.training, bundle.folder / bundle.card.files[role].path
    draws = [partial(SegUNet, each.net) for each in ancestors(RECIPES[str(training["preset"])])]
    first, *others = (restored(draws, path, (HEADS, DISTANCE), place).eval() for place in allowed)
    mirrored = dict(zip(ROLES, _list(training, "mirrored"), strict=True))[role]
    sides = tuple(int(str(side)) for side in _list(training, f"{role}_looks_at_px"))
    spec = ServeSpec(sides, bool(mirrored), outline if outline < len(allowed) else 0)
    familiarity = kept_in(path) if role == ROLES[0] and allowed[0] == 0 else None
    return _TorchSession(Served(first, spec, familiarity, others))


def _list(training: Mapping[str, object], key: str) -> list[object]:
    told = training.get(key)
    return told if isinstance(told, list) else []


class _TorchSession(Session):
    """Networks in torch, where the node has an exported one."""

    def __init__(self, net: nn.Module) -> None:
        self._net = net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a gap in torch's stubs
        self.provider = "torch"

    @torch.no_grad()
    def run(self, images: Array) -> dict[str, Array]:
        """As `Session.run`; how strange an image is, is no number where nobody here knows."""
        said = self._net(torch.from_numpy(np.ascontiguousarray(images)))
        unknown = np.full((len(images), 1), np.nan, dtype=np.float32)
        return {"strangeness": unknown} | {name: value.numpy() for name, value in said._asdict().items()}
