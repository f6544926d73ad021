"""Answers of the networks of a cross-validation, each on the patients that it did not learn from.

Four validation patients, as limb has, choose a threshold badly. Of networks that were trained alike on all folds but
one, every patient who trains or validates is answered by one that never saw him, and what is chosen by all of these
together (as nnU-Net chooses, Isensee et al. 2021) suits the network that ships, which was trained alike. The withheld
patients are in no fold.
"""

from collections.abc import Sequence
from pathlib import Path

from models.card import Bundle, Card
from models.stack import StackModel
from training.errors import RunFault
from training.folds import in_turn
from training.run import recipe_of, run_of
from training.stacks import fit, spacing
from training.stacks.case import Case, folds, split
from training.stacks.system import System, recipe_card
from training.taught import TAUGHT, mark_of

Judges = Sequence[tuple[StackModel, Sequence[Case]]]
"""Models, each with the patients that it did not learn from."""


def fold(out: Path, number: int) -> Path:
    """The run of a fold, by its number from 1."""
    return out / f"fold-{number}"


def learning(cases: Sequence[Case]) -> tuple[Case, ...]:
    """The patients who train or validate: by these anything may be chosen that the others are to measure."""
    parts = split(cases)
    withheld = {id(case) for case in parts.test}
    return tuple(case for case in cases if id(case) not in withheld)


def judges(system: System, bundle: Bundle[Card], cases: Sequence[Case], out: Path) -> Judges:
    """The networks of `folds --learning` in a folder, ready to be looked through.

    Raises
    ------
    RunFault
        There are none, or they are not of the recipe and the patients of the bundle, or a fold has not ended.
    """
    count = sum(1 for _ in out.glob("fold-*"))
    if count < 2:
        raise RunFault(f"{out} holds no folds. Make them with osteon-train folds {system.name} --learning --out {out}.")
    recipe = recipe_of(run_of(fold(out, 1)), system.recipes)
    told = bundle.card.training
    if told.get("recipe_sha256") != recipe.digest():
        raise RunFault(
            f"The folds in {out} are of preset {recipe.name}, {bundle.folder} is of preset {told.get('preset')} or of "
            "other seeds: what suits one need not suit the other. Make folds of the bundle's preset."
        )
    if told.get(TAUGHT) != mark_of([case.name for case in split(cases).train]):
        raise RunFault(f"{bundle.folder} was not trained on these patients. Give the data that it was trained on.")
    made = []
    for number, (others, held) in enumerate(in_turn(folds(learning(cases), count)), start=1):
        run = fold(out, number)
        if run_of(run).get(TAUGHT) != mark_of([case.name for case in others]):
            raise RunFault(
                f"{run} is not of these folds: other patients taught it, or it does not say who did. Make the folds "
                "with the same data, --count and --learning."
            )
        mine = spacing.kept(recipe, run)
        made.append((fit.model_of(fit.load(mine, run).eval(), recipe_card(system, mine)), held))
    return made
