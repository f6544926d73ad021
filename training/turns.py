"""What a card says of networks that learned from the validation part too, all of it but one turn (split.py).

Of each network it keeps the turn, with a hash of the names that were kept out of its training; and of the whole part a
sketch, the smallest hashes of its names, by which a set is known that holds any of it. So a set that has grown since,
of which nobody can tell any more who learned from what, is told from another hospital's, which has taught no network.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence

from training.errors import RunFault
from training.split import Turn, turn_of
from training.start import NETWORKS, Start
from training.taught import mark_of

TURNS, SKETCH = "turns", "turns_sketch"
"""Of a card: of each network the turn that was kept out of its training, "" where all of the part was; and the sketch
of the part, where any network has a turn."""
SKETCHED = 16
Names = Sequence[str]
KeptOut = Callable[[Turn | None], Names]
"""Of the data at hand the names of a turn; None: of the whole validation part."""
Facts = dict[str, list[str | int | float | bool]]


def words_of(turn: Turn, kept_out: KeptOut) -> str:
    """A turn and the mark of its names, as a run and a card keep it."""
    return f"{turn} {mark_of(kept_out(turn))}"


def turn_in(words: str) -> Turn | None:
    """The turn in such words; None in none."""
    return turn_of(words.partition(" ")[0]) if words else None


def turns_in(training: Mapping[str, object]) -> tuple[str, ...]:
    """Of each network of a card its turn in words; nothing where none has one."""
    told = training.get(TURNS, [])
    return tuple(map(str, told)) if isinstance(told, list) else ()


def turns_here(training: Mapping[str, object], where: object, kept_out: KeptOut) -> tuple[str, ...]:
    """The same with regard to the data at hand: nothing where the turns are of another set.

    Raises
    ------
    RunFault
        They are of this set as it was before: somebody may have learned from anything.
    """
    told, known = turns_in(training), training.get(SKETCH, [])
    if not told or not isinstance(known, list) or not set(known) & set(_hashes(kept_out(None))):
        return ()
    for words in filter(None, told):
        turn = turn_in(words)
        assert turn is not None  # the words are not empty
        if words != words_of(turn, kept_out):
            raise RunFault(
                f"A network of {where} learned from all validation images of this set but those of turn {turn}, and "
                "these are others by now: the set has changed since, and who learned from which cannot be told. Give "
                "the set as it was, or measure on all of another one with --part all."
            )
    return told


def facts_of_turns(own: str, members: Sequence[Start], kept_out: KeptOut) -> Facts:
    """What the card of several networks must say of their turns on the data at hand.

    Parameters
    ----------
    own
        The turn of the run in words, "" where it had none.

    Raises
    ------
    RunFault
        As `turns_here`; or the run is of this set as it was before.
    """
    mine = turn_in(own)
    if mine is not None and own != words_of(mine, kept_out):
        raise RunFault(f"The run learned from other images than turn {mine} of this set leaves. Give the data it had.")
    told = [own]
    for member in members:
        training = member.card.training
        none = ("",) * int(str(training.get(NETWORKS, 1)))
        told += turns_here(training, member.folder, kept_out) or none
    return {TURNS: list(told), SKETCH: list(_hashes(kept_out(None))[:SKETCHED])} if any(told) else {}


def refuse_start(start: Start | None, turn: Turn | None, kept_out: KeptOut) -> None:
    """See to it that a training which begins with a network of a turn keeps the same images out.

    Raises
    ------
    RunFault
        It would not; or as `turns_here`.
    """
    first = turn_in((turns_here(start.card.training, start.folder, kept_out) or ("",))[0]) if start else None
    if first is not None and first != turn:
        raise RunFault(
            f"{start.folder if start else ''} has learned from all validation images of this set but those of turn "
            f"{first}. Give --turn {first}, or begin with a bundle that has seen none of them."
        )


def _hashes(names: Names) -> list[str]:
    return sorted(hashlib.sha256(name.encode()).hexdigest()[:8] for name in names)
