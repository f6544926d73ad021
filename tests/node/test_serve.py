"""The parent of listener and worker: what it starts again, and when it gives up. The parts are stand-ins."""

from dataclasses import dataclass

import pytest

from node import serve

KILLED = -9


@dataclass
class Ended:
    """A process that has ended."""

    exitcode: int

    def is_alive(self) -> bool:
        return False


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> serve._Child:
    """A part whose pauses are over at once."""
    monkeypatch.setattr(serve, "_RESTART_S", (0.0,))
    return serve._Child("listen", lambda *_: None)


def rounds(child: serve._Child, monkeypatch: pytest.MonkeyPatch, codes: list[int]) -> list[int]:
    """What each look at the part says when its runs end with these codes, one after the other."""
    left = iter(codes)

    def start(one: serve._Child, *_: object) -> None:
        one.process = Ended(next(left, 0))  # type: ignore[assignment]

    monkeypatch.setattr(serve, "_start", start)
    return [serve._watch([child], None, None) for _ in range(len(codes) + 1)]  # type: ignore[arg-type]


def test_what_cannot_run_from_the_first_is_not_started_again(
    watched: serve._Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = rounds(watched, monkeypatch, [serve.CONFIGURATION_EXIT])
    assert said == [0, serve.CONFIGURATION_EXIT]


def test_a_part_that_has_run_may_find_its_port_taken_for_a_moment(
    watched: serve._Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = [serve.CONFIGURATION_EXIT] * serve._REFUSALS
    assert set(rounds(watched, monkeypatch, [KILLED, *refused, KILLED, *refused, KILLED])) == {0}


def test_and_gives_up_when_that_lasts(watched: serve._Child, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = [serve.CONFIGURATION_EXIT] * (serve._REFUSALS + 1)
    said = rounds(watched, monkeypatch, [KILLED, *refused])
    assert set(said[:-1]) == {0}
    assert said[-1] == serve.CONFIGURATION_EXIT
