"""Where images that a model was given cannot be used: from which others, or by which other model, there is an answer.

A study is routed by its headers; that pixels are damaged, or that stacks lie on different voxels, is seen when they are
decoded. The study is then routed once more as if the stack that failed had a fault that its header told. Pure.
"""

from collections.abc import Sequence
from dataclasses import replace

from node.route import Chosen, Decision, given_of, uids_of
from node.series import SeriesFacts
from node.stack import Stack


def without(series: Sequence[SeriesFacts], failed: Chosen, names: Sequence[str], why: str) -> tuple[SeriesFacts, ...]:
    """The same series, with a fault on the stacks that some inputs were given.

    Parameters
    ----------
    names
        Of the inputs of `failed`.
    why
        A sentence; what is wrong with them.
    """
    lost = [(failed.inputs[name], failed.given[name]) for name in names]
    fault = f"its images cannot be used: {why.rstrip('.')}"

    def marked(stack: Stack) -> Stack:
        is_lost = (uids_of(stack.images), given_of(stack)) in lost
        return replace(stack, fault=fault) if is_lost else stack

    return tuple(replace(one, stacks=tuple(map(marked, one.stacks))) for one in series)


def stand_in(decision: Decision, failed: Chosen) -> Chosen | None:
    """Of a study that was routed once more, the answer in place of the one that failed: by the same model from other
    images, or by a model that had left the study to it; None where there is none."""
    name = failed.card.name
    able = [each for each in decision.answers if each != failed]
    own = [each for each in able if each.card.name == name]
    return next(iter((*own, *(each for each in able if name in each.card.yields_to))), None)


def said_of(failed: Chosen, answers: Chosen, why: str) -> str:
    """Why another answers, in a sentence for the report."""
    how = "from others" if answers.card.label == failed.card.label else "instead"
    return f"Images that {failed.card.label} was given cannot be used, and {answers.card.label} answers {how}: {why}"
