"""The in-plane spacing that a run resamples to: the recipe's, or, as nnU-Net does it, that of the training patients.

nnU-Net (Isensee et al. 2021, Nature Methods 18:203, online methods, "Target spacing") takes the median over the
training cases, axis by axis. Pixels of these networks are square, so rows and columns are counted together here; slices
stay where they are, as in nnU-Net's 2D configuration.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.stack_card import LEAST_SPACING_MM, MOST_SPACING_MM, StackCard
from training.errors import DataFault, RunFault
from training.run import RUN, Told, run_of
from training.stacks.case import Case
from training.stacks.recipe import Recipe
from training.start import Start

KEY = "spacing_mm"
"""In the file of a run."""


def median_mm(cases: Sequence[Case]) -> float:
    """The median of the distances of rows and of columns of all cases, in mm, to a tenth of a micrometre.

    Raises
    ------
    DataFault
        It is none that a card may have.
    """
    found = round(float(np.median([case.spacing[1:] for case in cases])), 4)
    if not LEAST_SPACING_MM <= found <= MOST_SPACING_MM:
        raise DataFault(
            f"The median in-plane spacing of the {len(cases)} training patients is {found:g} mm; a network takes "
            f"{LEAST_SPACING_MM:g} to {MOST_SPACING_MM:g} mm. Correct the spacing in the images."
        )
    return found


def chosen(recipe: Recipe, cases: Sequence[Case], folder: Path, start: Start | None = None) -> Recipe:
    """The recipe with the spacing of a run.

    A run that goes on keeps the one it has, whatever became of its data; one that begins with a bundle takes that of
    the bundle, whose weights know no other.

    Parameters
    ----------
    cases
        That train.
    folder
        Of the run, begun or not.
    """
    if not recipe.takes_median:
        return recipe
    if (folder / RUN).is_file() and KEY in run_of(folder):
        return kept(recipe, folder)
    if start is not None and isinstance(start.card, StackCard):
        return replace(recipe, spacing_mm=start.card.preprocess.spacing_mm)
    return replace(recipe, spacing_mm=median_mm(cases))


def told(recipe: Recipe) -> Told:
    """What the file of a run says of its spacing; nothing where the recipe says it."""
    return {KEY: recipe.spacing_mm} if recipe.takes_median else {}


def kept(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with the spacing that the file of its run says.

    Raises
    ------
    RunFault
        It says none.
    """
    if not recipe.takes_median:
        return recipe
    said = run_of(folder).get(KEY)
    if not isinstance(said, float | int):
        raise RunFault(f"{folder / RUN}: {KEY} is {said!r}, a number is needed. Train again in another folder.")
    return replace(recipe, spacing_mm=float(said))
