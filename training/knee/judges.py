"""Who judges the validation images of a bundle: each is judged by the networks that have not learned from it.

Mostly that is the bundle as it is. Where some of its networks were taught by all of the validation part but one turn
(`fit --turn`), the images of a turn are judged by the networks of that turn and by those that have seen none of the
part; what ships has more networks than any of these, and calibration takes it to be alike.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch

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
from training.session import TorchSession
from training.split import Turn
from training.together import restored
from training.turns import turn_in, turns_here

OUTLINED_BY = "outlined_by"
"""Of a card: how many of several networks outline, where not all do."""
JUDGED = "validation_judged"
JUDGED_APART = "each image by the networks that have not learned from it"
"""Of a card: by whom, where not by all networks."""


class Judge(NamedTuple):
    """Both networks, as the node would run them, and the images that they have not learned from."""

    whole: Session
    patch: Session
    indices: tuple[int, ...]


class Panel(NamedTuple):
    """Of the networks of a bundle, by their places, those that have not learned from a turn."""

    turn: Turn
    allowed: tuple[int, ...]
    outlining: int
    """How many of them outline, the first of them; the others answer for the classes only."""


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
        As `panels`, or as `training.turns.turns_here`.
    """
    told = turns_here(bundle.card.training, bundle.folder, data.kept_out)
    if not told:
        return whole(bundle, data.split().validation, threads)
    torch.set_num_threads(threads)
    made = []
    for panel in panels(told, int(str(bundle.card.training.get(OUTLINED_BY, 0)))):
        net, patch = (_session(bundle, role, panel) for role in ROLES)
        made.append(Judge(net, patch, data.split(panel.turn).validation))
    return made


def panels(told: Sequence[str], outlined_by: int) -> list[Panel]:
    """Who may judge each turn.

    Parameters
    ----------
    told
        Of each network its turn in words, "" where it has learned from none of the validation part.
    outlined_by
        How many of the networks outline, the first of them; 0: all.

    Raises
    ------
    RunFault
        The turns are of different counts, or nobody is left to outline the images of one.
    """
    turns = {turn for turn in map(turn_in, told) if turn is not None}
    if len({turn.count for turn in turns}) != 1:
        told_apart = ", ".join(sorted(map(str, turns)))
        raise RunFault(f"Networks have turns of different counts ({told_apart}). Join those of one count.")
    made = []
    for number in range(1, next(iter(turns)).count + 1):
        turn = Turn(number, next(iter(turns)).count)
        allowed = tuple(place for place, words in enumerate(told) if turn_in(words) in (None, turn))
        outlining = sum(1 for place in allowed if not outlined_by or place < outlined_by)
        if not outlining:
            raise RunFault(
                f"All networks that outline have learned from the validation images of turn {turn}, so nobody can "
                f"judge an outline on them. Join one (--with) that has not, of fit --turn {turn} or without a turn, "
                "and let --outlined-by reach it."
            )
        made.append(Panel(turn, allowed, outlining))
    return made


def refuse_taught(bundle: Bundle[KneeCard], data: Radiographs, part: str) -> None:
    """See to it that a bundle is not measured on images that some of its networks learned from.

    Raises
    ------
    RunFault
        It would be; or as `training.turns.turns_here`.
    """
    if part == VALIDATION and turns_here(bundle.card.training, bundle.folder, data.kept_out):
        raise RunFault(
            f"Networks of {bundle.folder} have learned from the validation part (fit --turn); only calibrate judges it "
            "by those that have not. Measure it on --part test, or on all of another set."
        )


def _session(bundle: Bundle[KneeCard], role: str, panel: Panel) -> Session:
    training, path = bundle.card.training, bundle.folder / bundle.card.files[role].path
    draws = [partial(SegUNet, each.net) for each in ancestors(RECIPES[str(training["preset"])])]
    first, *others = (restored(draws, path, (HEADS, DISTANCE), place).eval() for place in panel.allowed)
    mirrored = dict(zip(ROLES, _list(training, "mirrored"), strict=True))[role]
    sides = tuple(int(str(side)) for side in _list(training, f"{role}_looks_at_px"))
    spec = ServeSpec(sides, bool(mirrored), panel.outlining if panel.outlining < len(panel.allowed) else 0)
    familiarity = kept_in(path) if role == ROLES[0] and panel.allowed[0] == 0 else None
    net = Served(first, spec, familiarity, others).eval()
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a gap in torch's stubs
    return TorchSession(net, unsaid=("strangeness",))


def _list(training: Mapping[str, object], key: str) -> list[object]:
    told = training.get(key)
    return told if isinstance(told, list) else []
