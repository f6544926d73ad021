"""Which cases of a data set calibrate or measure a bundle: a part that the split withheld from training, or, of a set
that taught nothing, such as another hospital's archive, all.

A part is withheld as long as the set is the one that taught: where cases have come or gone since, the split draws
others, and some that it withholds may have taught. So a card keeps who taught, as a hash of all names, and a sketch of
them, the smallest hashes of single names, by which a set is known that holds any of these cases.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeVar

from models.card import Bundle, Card
from training.errors import DataFault
from training.start import unseen

VALIDATION, WHOLE = "validation", "all"
MEASURES = ("test", VALIDATION, WHOLE)
CALIBRATES = (VALIDATION, WHOLE)
MARK = "validation_names_sha256"
"""Of a card: how the hash of the names begins that it was calibrated on."""
TAUGHT = "taught_names_sha256"
"""Of a card: how the hash of the names begins that its networks were trained on."""
TAUGHT_SKETCH = "taught_sketch"
"""Of a card: their sketch."""
SKETCHED = 16


class Named(Protocol):
    """A case that a card may keep a hash of."""

    @property
    def name(self) -> str:
        """Different for each."""


C = TypeVar("C")
N = TypeVar("N", bound=Named)
T_co = TypeVar("T_co", covariant=True)


class Divided(Protocol[T_co]):
    """What a split makes of cases."""

    @property
    def train(self) -> Sequence[T_co]:
        """Those that teach."""

    @property
    def validation(self) -> Sequence[T_co]:
        """Those that choose and calibrate."""

    @property
    def test(self) -> Sequence[T_co]:
        """Those that measure."""


def part_of(cases: Sequence[C], part: str, split: Callable[[Sequence[C]], Divided[C]]) -> tuple[C, ...]:
    """The cases of one part, of `MEASURES`; a set of which all are taken is not divided, and may be small."""
    if part == WHOLE:
        return tuple(cases)
    divided = split(cases)
    return tuple(divided.test if part == "test" else divided.validation)


def withheld(
    sound: Bundle[Card], cases: Sequence[N], part: str, split: Callable[[Sequence[N]], Divided[N]]
) -> tuple[N, ...]:
    """The cases of one part, see `part_of`, for a bundle that has learned from none of them.

    Raises
    ------
    DataFault
        As `refuse_changed`.
    """
    chosen = part_of(cases, part, split)
    if part != WHOLE:
        taught = mark_of([case.name for case in split(cases).train])
        refuse_changed(sound, [case.name for case in cases], {taught})
    return chosen


def refuse_changed(sound: Bundle[Card], names: Sequence[str], marks: Collection[str]) -> None:
    """See to it that a set, if it taught a bundle, is still what it was.

    Parameters
    ----------
    names
        Of the whole set at hand.
    marks
        Of those whom its split lets teach, see `mark_of`; several where there are several ways to divide it.

    Raises
    ------
    DataFault
        It has changed. A card from before there were sketches is let pass.
    """
    training = sound.card.training
    if is_known(training.get(TAUGHT_SKETCH), names) and training.get(TAUGHT) not in marks:
        raise DataFault(
            f"{sound.folder} learned from this set, but cases have come or gone since: those that the split withholds "
            "now may have taught it. Give the set as it was, or train and export again, or measure on all of another "
            "set with --part all."
        )


def measured_on(
    system: str, cases: str, part: str, training: Mapping[str, object], kind: str | None = None
) -> dict[str, str]:
    """What a card says of where its figures come from.

    Parameters
    ----------
    system
        By the name that the commands know.
    cases
        What they are called: patients, radiographs.
    part
        Of the split, or all: then no split vouches for it that none of them taught the weights.
    training
        The [training] part of the card.
    kind
        real or phantom; None is of what taught the weights, as every part of the split is.
    """
    command = f"osteon-train evaluate {system} --bundle BUNDLE --data DIR --part {part}"
    mine = str(kind or training["kind"])
    if part != WHOLE:
        return {"on": f"{mine} {cases}, {part} part, {unseen(training)}", "command": f"{command} --write"}
    return {
        "on": f"{mine} {cases}, all of a set that, as who measured says, taught the weights nothing",
        "kind": mine,
        "command": f"{command}{f' --kind {kind}' if kind else ''} --write",
    }


def calibrated_on(names: Sequence[str], part: str) -> dict[str, str | int]:
    """What a card keeps of the cases that it was calibrated on: of their names no more than a hash of all together."""
    return {"validation_part": part, "validation_cases": len(names), MARK: mark_of(names)}


def taught_by(names: Sequence[str]) -> dict[str, str | list[str | int | float | bool]]:
    """What a card keeps of the cases that its networks were trained on; see `calibrated_on`."""
    return {TAUGHT: mark_of(names), TAUGHT_SKETCH: sketch_of(names)}


def keep_apart(names: Sequence[str], measured: Mapping[str, object]) -> None:
    """See to it that a bundle is not measured on the very cases that calibrated it.

    Parameters
    ----------
    measured
        The [measured] part of its card; one that was calibrated before cards kept a hash is let pass.

    Raises
    ------
    DataFault
        It would be.
    """
    if measured.get("validation_part") == WHOLE and measured.get(MARK) == mark_of(names):
        raise DataFault(
            f"The bundle was calibrated on these very {len(names)} cases, so they would praise it. Measure it on "
            "others (--part all of another set), or calibrate it again with --part validation."
        )


def mark_of(names: Sequence[str]) -> str:
    """How the hash of all names together begins, whatever their order."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]


def sketch_of(names: Sequence[str]) -> list[str | int | float | bool]:
    """The smallest hashes of single names."""
    return [*_hashes(names)[:SKETCHED]]


def is_known(sketch: object, names: Sequence[str]) -> bool:
    """Whether any of these names is in the sketch of a card."""
    return isinstance(sketch, list) and not set(sketch).isdisjoint(_hashes(names))


def _hashes(names: Sequence[str]) -> list[str]:
    return sorted(hashlib.sha256(name.encode()).hexdigest()[:8] for name in names)
