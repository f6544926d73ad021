"""Several networks in one file, which answer with the mean of their logits.

Networks that were drawn and trained apart err in different places, and their mean errs less (Lakshminarayanan et al.,
NeurIPS 2017, arXiv:1612.01474; nnU-Net's five folds, Isensee et al. 2021). `export --with BUNDLE` joins the network of
a run with those of bundles that were exported before; all of them look at what that export says (sizes, mirror image).
What is strange is told by the first alone.
"""

import contextlib
import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import nn

from training.errors import RunFault
from training.run import folded
from training.start import BEFORE, BEGUN_WITH, ELSEWHERE, NETWORKS, Names, Start, restore, start_of
from training.taught import TAUGHT

N = TypeVar("N", bound=nn.Module)
WITH = "together_with"
ROUNDED = 2e-3
"""By how much of itself a weight may differ in the same network, in half precision and not."""
CASES = ("data", "split")
"""What a card says in words of the cases that taught a network."""
KIN = "those that the same split lets teach in its turn, or without one"
"""The same of a network that other turns taught than the run's own."""


class Drawn(Protocol):
    """A recipe that draws one network."""

    @property
    def net(self) -> object: ...


def alike(recipe: Drawn, recipes: Mapping[str, Drawn]) -> tuple[str, ...]:
    """The presets that draw the same network."""
    return tuple(name for name, other in recipes.items() if other.net == recipe.net)


def members_of(folders: Sequence[Path], presets: Sequence[str], asked: Mapping[str, str]) -> tuple[Start, ...]:
    """The bundles whose networks join that of a run.

    Parameters
    ----------
    presets, asked
        As `training.start.start_of`.

    Raises
    ------
    BundleError
        One is none, or damaged.
    RunFault
        One is of another system or preset, or takes other images.
    """
    members = []
    for folder in folders:
        member = start_of(folder, presets, asked, purpose="answer together with this network")
        assert member is not None  # it was named
        members.append(member)
    return tuple(members)


def networks_of(
    own: N, draws: Sequence[Callable[[], N]], members: Sequence[Start], role: str, *, drawn: Names = "\0"
) -> list[N]:
    """The networks of the members, all of those that hold several, ready to answer.

    Parameters
    ----------
    own
        That of the run.
    draws
        Each makes one of the kinds that they may be of, smallest first: a small network within the frame of a large one
        would answer the same, and take longer.
    drawn
        As `training.start.restore`.

    Raises
    ------
    RunFault
        Two are the same network.
    """
    made: list[N] = []
    known = [(folded(copy.deepcopy(own).eval()), "that of the run")] if members else []
    for member in members:
        for place in range(count_of(member)):
            made.append(folded(restored(draws, member.file(role), drawn, place).eval()))
            name = f"network {place + 1} of {member.folder}"
            twin = next((other for one, other in known if _is_same(one, made[-1], drawn)), None)
            if twin is not None:
                raise RunFault(f"{name} is {twin}: a mean would only count it twice. Leave one out.")
            known.append((made[-1], name))
    return made


def restored(draws: Sequence[Callable[[], N]], path: Path, drawn: Names, place: int) -> N:
    """The network at a place of a file, of the first kind that has room for it.

    Raises
    ------
    RunFault
        None has.
    """
    for draw in draws[:-1]:
        net = draw()
        with contextlib.suppress(RunFault):  # it is of a larger kind
            restore(net, path, drawn=drawn, place=place)
            return net
    net = draws[-1]()
    restore(net, path, drawn=drawn, place=place)
    return net


def _is_same(one: nn.Module, other: nn.Module, drawn: Names) -> bool:
    """But for rounding (norms were folded away, by us or by the exporter; weights may have been halved) and for heads
    that only training looks at."""
    left, right = one.state_dict(), other.state_dict()
    weights = [name for name, value in left.items() if value.is_floating_point() and not name.startswith(drawn)]
    return left.keys() == right.keys() and all(
        left[name].shape == right[name].shape and torch.allclose(left[name], right[name], rtol=ROUNDED, atol=1e-6)
        for name in weights
    )


def count_of(member: Start) -> int:
    """How many networks answer in each of its files."""
    return int(str(member.card.training.get(NETWORKS, 1)))


def facts_of_members(
    members: Sequence[Start], mine: Mapping[str, object], kind: str, kin: Collection[str] = ()
) -> dict[str, int | list[str | int | float | bool]]:
    """What the card must say of the others.

    Parameters
    ----------
    mine
        The [training] part of the run's own card.
    kin
        Of those whom this split lets teach in other turns, what their cards say of whom: the same cases test them.

    Raises
    ------
    RunFault
        One was trained on real images, and `kind` says that phantoms alone made it.
    """
    if not members:
        return {}
    for member in members:
        if member.card.training_kind == "real" and kind != "real":
            raise RunFault(
                f"{member.words} was trained on real images, and {kind} is to be said of it. What answers with it is "
                "of real images: give --kind real, or join it with phantoms' own."
            )
    taught = [member.card.training.get(TAUGHT) for member in members]
    same = ["the same cases" if each == mine[TAUGHT] else KIN if each in kin else "" for each in taught]
    mine_began = str(mine.get(BEGUN_WITH, ""))
    told: list[str | int | float | bool] = [
        _without_chain(_words(member, cases), mine_began) for member, cases in zip(members, same, strict=True)
    ]
    facts: dict[str, int | list[str | int | float | bool]] = {NETWORKS: 1 + sum(map(count_of, members)), WITH: told}
    is_unknown = not all(same) or any(
        each.card.training.get(key) for each in members for key in (ELSEWHERE, BEGUN_WITH)
    )
    return facts | ({ELSEWHERE: True} if is_unknown else {})


def _without_chain(told: str, mine: str) -> str:
    """What is told of a member, less what the card tells already of what its own weights began with."""
    chain = mine.split(BEFORE) if mine else []
    for first in range(len(chain)):
        told = told.replace(BEFORE + BEFORE.join(chain[first:]), f"; what that began with, {BEGUN_WITH} tells")
    return told


def _words(member: Start, alike: str) -> str:
    training = member.card.training
    cases = "on " + (alike or "; ".join(str(training.get(key, f"untold {key}")) for key in CASES))
    before = f"{BEFORE}{training[BEGUN_WITH]}" if BEGUN_WITH in training else ""
    others = training.get(WITH)
    several = f", itself together with {' and '.join(map(str, others))}" if isinstance(others, list) else ""
    return f"{member.words}, trained by {training.get('command', 'an untold command')} {cases}{before}{several}"
