"""What commands must know of a system that looks at stacks of MR slices; its card before anything is measured."""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from models.cardhead import Stage
from models.stack_card import (
    CLASSES,
    NeedSpec,
    StackCalibration,
    StackCard,
    StackInput,
    StackPreprocess,
    StackThresholds,
)
from training.stacks.case import Case
from training.stacks.recipe import Recipe

Facts = Mapping[str, str | int | float | bool | list[str | int | float | bool]]


@dataclass(frozen=True, slots=True)
class Words:
    """What a card says in sentences, for weights that were trained on one kind of data."""

    intended_use: str
    limitations: str
    licence: str


@dataclass(frozen=True, slots=True)
class System:
    """One of the systems."""

    name: str
    """Of its bundle, and on the command line."""
    system: str
    """Of its card."""
    recipes: Mapping[str, Recipe]
    read: Callable[[Path], tuple[Case, ...]]
    needs: Callable[[Recipe], tuple[NeedSpec, ...]]
    body_parts: tuple[str, ...]
    takes_derived: bool
    region_min_mm3: float
    """Before calibration chooses one."""
    words: Mapping[str, Words]
    """By the kind of the data: "real", "phantom"."""
    described: Callable[[int, str], str]
    """The data in words, from the number of patients and their kind."""
    paper: str
    """Whose architecture or recipe it is."""
    variants: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    """By the channels of a recipe what its bundle is called, where it is not the one to answer first: it leaves a
    study to the bundle of the system's own name wherever that can answer."""


def blank(system: System, recipe: Recipe, version: str, facts: Facts) -> StackCard:
    """The card of a bundle that was neither exported, calibrated nor measured yet.

    Parameters
    ----------
    facts
        The [training] part; `kind` is "real" or "phantom".
    """
    words = system.words[str(facts["kind"])]
    needs = system.needs(recipe)
    name = system.variants.get(recipe.channels, system.name)
    yields_to = (system.name,) if name != system.name else ()
    return StackCard(
        name=name,
        system=system.system,
        version=version,
        stage=Stage.RESEARCH,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        intended_use=words.intended_use,
        limitations=words.limitations,
        licence=words.licence,
        input=StackInput(("MR",), system.body_parts, needs, system.takes_derived, yields_to=yields_to),
        preprocess=StackPreprocess(
            (recipe.side, recipe.side), recipe.normalisation, recipe.spacing_mm, recipe.neighbours, recipe.channels
        ),
        files={},
        classes=CLASSES,
        thresholds=StackThresholds(mask=0.5, region_min_mm3=system.region_min_mm3, tumour=0.5),
        calibration=StackCalibration(temperature=1.0, bias=0.0),
        measured={},
        training={**facts, "recipe_sha256": recipe.digest(), "preset": recipe.name, "paper": system.paper},
    )


def recipe_card(system: System, recipe: Recipe) -> StackCard:
    """A card to prepare images by while training."""
    return blank(system, recipe, "0.0.0", {"kind": next(iter(system.words))})
