"""Who taught a network, and who must test it: what a run and a card keep of them, and what is asked before either is
gone on with or measured.

The split draws by rank within a class. Where cases have come or gone since, it draws others: some that it withholds now
may have taught, or chosen thresholds. So a part of a set measures a bundle only where the very cases that taught it are
those that the split lets teach today. Names may be those of patients; of all together no more than a hash is kept.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence

from models.card import Bundle, Card
from training.errors import DataFault, RunFault

TAUGHT, TESTED = "taught_names_sha256", "test_names_sha256"
"""How the hashes of the names begin that taught, and that were withheld to test."""
WHOLE = "all"
"""Of the parts of a set: all of one that taught nothing."""
Marks = Callable[[], Collection[str]]


def mark_of(names: Sequence[str]) -> str:
    """How the hash of all names together begins, whatever their order."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]


def taught_of(taught: Sequence[str]) -> dict[str, str | float | None]:
    """What a run keeps of who teaches it."""
    return {TAUGHT: mark_of(taught)}


def facts_of_taught(
    told: Mapping[str, object], taught: Sequence[str], tests: Sequence[str]
) -> dict[str, str | int | float | bool]:
    """What a card keeps of who taught its networks, and of who was withheld to test them.

    Parameters
    ----------
    told
        What the run was told. One from before runs kept who taught them is taken at its word.
    taught, tests
        The names at hand.

    Raises
    ------
    RunFault
        Others taught the run.
    """
    mark = mark_of(taught)
    if told.get(TAUGHT, mark) != mark:
        raise RunFault(
            f"Other cases taught the run than the {len(taught)} that this set lets teach: it is another set, or cases "
            "or labels have changed since. Export with the data that it was trained on."
        )
    return {TAUGHT: mark, TESTED: mark_of(tests)}


def refuse_others(sound: Bundle[Card], part: str, taught: Marks, tests: Callable[[], Sequence[str]]) -> None:
    """See to it that a part is one that a bundle has not learned from.

    Raises
    ------
    DataFault
        There is a doubt, see `doubt_of`.
    """
    doubt = doubt_of(sound, part, taught, tests)
    if doubt:
        raise DataFault(doubt)


def doubt_of(sound: Bundle[Card], part: str, taught: Marks, tests: Callable[[], Sequence[str]]) -> str:
    """Why a part may be one that a bundle has learned from, as far as its card tells who taught it; else nothing.

    Who taught what it began with, and what answers with it, only their own cards tell.

    Parameters
    ----------
    part
        Of the split, or all of a set of which somebody says that it taught nothing.
    taught
        The marks of those whom the split of the set at hand lets teach; several where it divides in several ways.
    tests
        The names of those whom it withholds to test.
    """
    known, withheld = (sound.card.training.get(key) for key in (TAUGHT, TESTED))
    if known is None:
        return ""
    if part == WHOLE:
        if known not in _or_none(taught):
            return ""
        return (
            f"This very set taught {sound.folder}, so it would praise the bundle. Take what its split withholds: "
            "--part validation or test."
        )
    if known in taught() and withheld in (None, mark_of(tests())):
        return ""
    return (
        f"Other cases taught {sound.folder} than those that this set lets teach: either it is another set, of which "
        "all may be taken (--part all), or cases or labels have changed since, and some that the split withholds now "
        "may have taught it. Then give the set as it was."
    )


def _or_none(taught: Marks) -> Collection[str]:
    """Nothing of a set that is too small to be divided: no network learned from that."""
    try:
        return taught()
    except DataFault:
        return ()
