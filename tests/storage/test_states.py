"""The states have ways in, ways out, words, and one place where they change."""

import ast
from pathlib import Path

import pytest

from storage.states import ENDED_BY, FINAL_STUDY_STATES, STUDY_MOVES, Outcome, StudyState, may_move, state_for

STORAGE = Path(__file__).parents[2] / "storage"


def test_every_state_has_moves_a_file_that_ends_it_and_words() -> None:
    assert set(STUDY_MOVES) == set(ENDED_BY) == set(StudyState)
    assert len({state.words for state in StudyState}) == len(StudyState)


@pytest.mark.parametrize("state", list(StudyState))
def test_every_state_leads_to_an_end_and_back_to_receiving(state: StudyState) -> None:
    reached, frontier = {state}, {state}
    while frontier:
        frontier = {after for before in frontier for after in STUDY_MOVES[before]} - reached
        reached |= frontier
    assert reached >= FINAL_STUDY_STATES | {StudyState.RECEIVING}


@pytest.mark.parametrize("state", [state for state in StudyState if state is not StudyState.RECEIVING])
def test_a_late_image_finds_a_way_from_everywhere(state: StudyState) -> None:
    assert may_move(state, StudyState.RECEIVING)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_run_may_end_in_the_state_of_any_outcome(outcome: Outcome) -> None:
    assert may_move(StudyState.ANALYSING, state_for(outcome))


def test_a_study_changes_its_state_in_one_place() -> None:
    """Only `moves.move` writes `studies.state`; `intake` writes the first one."""
    writers = []
    for path in STORAGE.glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".values"):
                receiver = ast.unparse(call.func)
                if "studies" in receiver and any(keyword.arg == "state" for keyword in call.keywords):
                    writers.append(path.name)
    assert writers == ["moves.py"]
