"""The runs of a study that came to an end of their own, and which of them took the place of which."""

from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, select

from storage.states import Outcome, RunState
from storage.tables import results, runs


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run, to be shown."""

    id: int
    number: int | None
    """Among those that left results, from 1: what its series descriptions say; None for one that left none."""
    outcome: Outcome
    model: str
    answer: str
    ended_at: float
    result_count: int
    supersedes: int | None
    """The number of the run whose results its own replace."""


def past_runs(conn: Connection, study_id: int) -> list[PastRun]:
    """The finished runs of a study, oldest first."""
    made = select(results.c.run_id, func.count().label("count")).group_by(results.c.run_id).subquery()
    query = (
        select(runs, func.coalesce(made.c.count, 0).label("made"))
        .outerjoin(made, made.c.run_id == runs.c.id)
        .where(and_(runs.c.study_id == study_id, runs.c.state == RunState.FINISHED))
        .order_by(runs.c.id)
    )
    found: list[PastRun] = []
    numbers: dict[int, int] = {}
    for row in conn.execute(query):
        if row.made:
            numbers[row.id] = len(numbers) + 1
        found.append(
            PastRun(
                id=row.id,
                number=numbers.get(row.id),
                outcome=Outcome(row.outcome),
                model=f"{row.model_name} {row.model_version}".strip(),
                answer=row.answer,
                ended_at=row.ended_at,
                result_count=row.made,
                supersedes=numbers.get(row.supersedes) if row.made else None,
            )
        )
    return found
