"""The folder of a training run: whose it is, and the weights in it. Every system's fit keeps its run so."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from training.crew import is_first
from training.errors import RunFault

RUN = "run.json"

N = TypeVar("N", bound=nn.Module)
Told = dict[str, str | float | None]


class Recipe(Protocol):
    """What a run must know of a recipe."""

    @property
    def name(self) -> str:
        """Of the preset."""

    def digest(self) -> str:
        """See `digest_of`."""


def digest_of(recipe: Any) -> str:
    """SHA-256 (hex) of the values of a dataclass: the same recipe, the same digest, whatever the commit."""
    return hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True, default=str).encode()).hexdigest()


def claim(folder: Path, recipe: Recipe, minutes: float | None, start: Told | None = None) -> None:
    """Make the folder that of this recipe and budget, and of what it begins with (see start.py).

    Raises
    ------
    RunFault
        It is another's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted: Told = {"preset": recipe.name, "recipe_sha256": recipe.digest(), "minutes": minutes, **(start or {})}
    path = folder / RUN
    if path.is_file() and run_of(folder) != wanted:
        raise RunFault(
            f"{path} is of another recipe, budget or start. Give another folder, or delete this one to start again."
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


def options_of(told: Told) -> str:
    """What `fit` was told beside preset and folders, as it was written."""
    minutes = "" if told["minutes"] is None else f" --minutes {told['minutes']}"
    return minutes + (" --start BUNDLE" if "start" in told else "")


def with_weights(net: N, path: Path) -> N:
    """The network with the weights of a file, ready to answer.

    Raises
    ------
    RunFault
        There are none.
    """
    if not path.is_file():
        raise RunFault(f"{path} is missing: the run did not end. Call fit with the same options to go on.")
    net.load_state_dict(torch.load(path, weights_only=True))
    return net.eval()
