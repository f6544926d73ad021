"""Which cases of a data set calibrate or measure a bundle: a part that the split withheld from training, or, of a set
that taught nothing, such as another hospital's archive, all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from models.card import Bundle, Card
from training.errors import DataFault
from training.start import unseen
from training.taught import WHOLE, doubt_of, mark_of, refuse_others

VALIDATION = "validation"
MEASURES = ("test", VALIDATION, WHOLE)
CALIBRATES = (VALIDATION, WHOLE)
MARK = "validation_names_sha256"
"""Of a card: how the hash of the names begins that it was calibrated on."""


class Named(Protocol):
    """A case that a card may keep a hash of."""

    @property
    def name(self) -> str:
        """Different for each."""


C = TypeVar("C")
N = TypeVar("N", bound=Named)
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Chosen(Generic[C]):
    """What one side of a comparison is measured on."""

    names: Sequence[str]
    """Of its cases."""
    cases: C
    doubt: str = ""
    """Why some of them may have taught the bundle."""


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
        As `refuse_others`.
    """
    refuse_others(sound, part, *_divided(cases, split))
    return part_of(cases, part, split)


def doubted(
    sound: Bundle[Card], cases: Sequence[N], part: str, split: Callable[[Sequence[N]], Divided[N]]
) -> Chosen[tuple[N, ...]]:
    """The same for a comparison, which writes nothing: with the doubt, if there is one."""
    mine = part_of(cases, part, split)
    return Chosen([case.name for case in mine], mine, doubt_of(sound, part, *_divided(cases, split)))


def _divided(
    cases: Sequence[N], split: Callable[[Sequence[N]], Divided[N]]
) -> tuple[Callable[[], set[str]], Callable[[], list[str]]]:
    """Who teaches, as a mark, and who tests, by names; neither is asked for before it is needed."""
    return (
        lambda: {mark_of([case.name for case in split(cases).train])},
        lambda: [case.name for case in split(cases).test],
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
