"""The folder of a training run: whose it is, and the weights in it. Every system's fit keeps its run so."""

import copy
import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import torch
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

from training.crew import is_first
from training.errors import RunFault
from training.taught import TAUGHT

RUN = "run.json"
BEGUN = "start.pt"
"""The weights that a run began with, where a bundle gave them."""

SEED, TURN = "seed", "turn"
FIRST_SEED = 1
"""Of a recipe as it is written: see `seeded`."""

LATER: Mapping[str, object] = MappingProxyType({"bfloat16": False})
"""Fields of every recipe's plan that came later, as `later` of `digest_of`."""

N = TypeVar("N", bound=nn.Module)
R = TypeVar("R", bound="Recipe")
Told = dict[str, str | float | None]


class Recipe(Protocol):
    """What a run must know of a recipe."""

    @property
    def name(self) -> str:
        """Of the preset."""

    def digest(self) -> str:
        """See `digest_of`."""


def digest_of(recipe: Any, later: Mapping[str, object] = MappingProxyType({})) -> str:
    """SHA-256 (hex) of the values of a dataclass: the same recipe, the same digest, whatever the commit.

    Parameters
    ----------
    later
        Fields that recipes, or their parts, did not have at first, and the values with which they are what they were.
    """
    known = {**LATER, **later}

    def kept(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {key: value for key, value in pairs if key not in known or known[key] != value}

    values = asdict(recipe, dict_factory=kept)
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def seeded(recipe: R, seed: int) -> R:
    """The recipe with other draws: each network's seed is further on by as much as `seed` is from the first, 1.

    A training that goes on from a bundle sees the very views that made it, in their order, unless it has another seed.

    Raises
    ------
    RunFault
        The seed is below the first.
    """
    if seed < FIRST_SEED:
        raise RunFault(f"A seed of {seed} is none. Give a whole number from {FIRST_SEED} on.")
    moved: R = _moved(recipe, seed - FIRST_SEED)
    return moved


def _moved(part: Any, by: int) -> Any:
    if not is_dataclass(part) or isinstance(part, type) or not by:
        return part
    values = {field.name: getattr(part, field.name) for field in fields(part)}
    return replace(part, **{name: each + by if name == SEED else _moved(each, by) for name, each in values.items()})


def _seeds(part: Any) -> list[int]:
    """Of the networks of a recipe, in the order in which they are trained."""
    if not is_dataclass(part):
        return []
    values = [(field.name, getattr(part, field.name)) for field in fields(part)]
    return [seed for name, each in values for seed in ([each] if name == SEED else _seeds(each))]


def claim(folder: Path, recipe: Recipe, minutes: float | None, others: Told | None = None) -> None:
    """Make the folder that of this recipe and budget, and of what else decides its weights.

    Parameters
    ----------
    others
        What it begins with (start.py), who teaches it (taught.py), and so on.

    Raises
    ------
    RunFault
        It is another's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted: Told = {"preset": recipe.name, "recipe_sha256": recipe.digest(), "minutes": minutes, **(others or {})}
    first = next(iter(_seeds(recipe)), FIRST_SEED)
    wanted |= {SEED: first} if first != FIRST_SEED else {}
    path = folder / RUN
    before = run_of(folder) if path.is_file() else wanted
    if TAUGHT not in before:  # from before runs kept who taught them: taken at its word
        before = {**before, **{key: value for key, value in wanted.items() if key == TAUGHT}}
    if before != wanted:
        raise RunFault(
            f"{path} is of another recipe, budget, start or turn, or other cases taught it. Give another folder, or "
            "delete this one and begin again."
        )
    if is_first():
        path.write_text(json.dumps(wanted, indent=1), encoding="utf-8")


def keep(net: nn.Module, path: Path) -> None:
    """Write the weights of a network that was trained; of several processes only the first does."""
    if is_first():
        partial = path.with_suffix(".partial")
        torch.save(net.state_dict(), partial)
        partial.replace(path)


def run_of(folder: Path) -> Told:
    """What a run was told: the recipe's name and digest, and its minutes.

    Raises
    ------
    RunFault
        The folder is that of no run.
    """
    path = folder / RUN
    if not path.is_file():
        raise RunFault(f"{path} is missing: {folder} is not the folder of a run. Give the one that fit wrote to.")
    told: Told = json.loads(path.read_text(encoding="utf-8"))
    return told


def recipe_of(told: Told, recipes: Mapping[str, R]) -> R:
    """The recipe of a run, by what it was told.

    Raises
    ------
    RunFault
        The preset is another one by now: its network, or what the card would say of it, is not that of the run.
    """
    name = str(told["preset"])
    recipe = seeded(recipes[name], seed_of(told)) if name in recipes else None
    if recipe is None or told.get("recipe_sha256") != recipe.digest():
        raise RunFault(
            f"The run was trained by a preset {name} that this version of Osteon has not, or has changed. Export it "
            "with the version that trained it, or train again."
        )
    return recipe


def seed_of(told: Told) -> int:
    """The seed that `fit` was given."""
    return int(told.get(SEED) or FIRST_SEED)


def options_of(told: Told) -> str:
    """What `fit` was told beside preset and folders, as it was written."""
    minutes = "" if told["minutes"] is None else f" --minutes {told['minutes']}"
    seed = f" --seed {seed_of(told)}" if SEED in told else ""
    turn = f" --turn {str(told[TURN]).partition(' ')[0]}" if TURN in told else ""
    return minutes + seed + (" --start BUNDLE" if "start" in told else "") + turn


def with_weights(net: N, path: Path, begun: Path | None = None, share: float = 0.0) -> N:
    """The network with the weights of a file, ready to answer.

    Parameters
    ----------
    begun
        The folder that holds what the run began with.
    share
        Of that in a mean with the trained weights. Where one was trained on from the other, the mean is often better
        than both (Wortsman et al. 2022, arXiv:2109.01903). Norms are folded into the convolutions before them first: a
        mean of running variances is that of no network.

    Raises
    ------
    RunFault
        There are none, or the share is no share.
    """
    if not path.is_file():
        raise RunFault(f"{path} is missing: the run did not end. Call fit with the same options to go on.")
    if not 0.0 <= share <= 1.0:
        raise RunFault(f"A share of {share:g} is none. Give one from 0 (as trained) to 1 (as it began).")
    first = copy.deepcopy(net) if share else net
    net.load_state_dict(torch.load(path, weights_only=True))
    if share and begun is not None:
        if not (begun / BEGUN).is_file():
            raise RunFault(f"{begun / BEGUN} is missing: the run began with random weights. Export it without a share.")
        first.load_state_dict(torch.load(begun / BEGUN, weights_only=True))
        state = folded(first.eval()).state_dict()
        folded(net.eval())
        trained = {name: value for name, value in net.state_dict().items() if value.is_floating_point()}
        net.load_state_dict(
            {name: torch.lerp(value, state[name], share) for name, value in trained.items()}, strict=False
        )
    return net.eval()


def halved(net: N) -> N:
    """The network with weights that half precision holds exactly; changed in place.

    Biases stay as they are: they are few. A weight beyond 65504, the largest half, becomes infinite, and the proof of
    the export then refuses the file.
    """
    with torch.no_grad():
        for value in net.parameters():
            if value.dim() > 1:
                value.copy_(value.half().float())
    return net


def folded(net: N) -> N:
    """The network with every norm folded into the convolution before it; changed in place, in evaluation mode."""
    for part in net.modules():
        if not isinstance(part, nn.Sequential):
            continue
        for place, (conv, norm) in enumerate(itertools.pairwise(list(part))):
            if isinstance(conv, nn.Conv2d | nn.Conv3d) and isinstance(norm, nn.BatchNorm2d | nn.BatchNorm3d):
                part[place], part[place + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return net
