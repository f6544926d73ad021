"""How far a command has come: a bar on a terminal, nothing in a pipe or a log, which have lines of their own.

tqdm draws it. What the node is installed with draws phantoms too, and has no tqdm: there nothing is drawn.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

try:
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm
except ImportError:
    tqdm = logging_redirect_tqdm = None

T = TypeVar("T")
WHOLE = 100.0
FORM = "{desc} {percentage:3.0f} %|{bar}| {elapsed}, {remaining} to go{postfix}"


def over(items: Iterable[T], what: str, count: int | None = None) -> Iterable[T]:
    """The same items, one after another, with a bar of how many are done.

    Parameters
    ----------
    what
        Is done to them, in a word or two.
    count
        How many there are, where `items` cannot tell.
    """
    return items if tqdm is None else tqdm(items, desc=what, total=count, disable=None, leave=False, dynamic_ncols=True)


class Share:
    """The bar of one training, whose budget is in steps or in minutes."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._bar: Any = (
            None if tqdm is None else tqdm(total=WHOLE, desc=what, bar_format=FORM, disable=None, dynamic_ncols=True)
        )

    def at(self, share: float, step: int, loss: float, score: float | None) -> None:
        """Show how much of the budget is used, and what the last step and the last look at validation said."""
        if self._bar is None or self._bar.disable:
            return
        if score is not None:
            self._bar.set_description_str(f"{self._what} (score {score:.3f})", refresh=False)
        self._bar.set_postfix_str(f"step {step}, loss {loss:.3f}", refresh=False)
        self._bar.update(round(WHOLE * share, 2) - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()


@contextlib.contextmanager
def beside_logs() -> Iterator[None]:
    """Lines of the log go above the bars."""
    if tqdm is None:
        yield
        return
    with logging_redirect_tqdm():
        yield
