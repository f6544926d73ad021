"""The table of a cross-validation, by hand numbers; and who is in which turn."""

import pytest

from training.errors import DataFault
from training.folds import in_turn, table


def test_every_turn_holds_one_fold_out() -> None:
    assert in_turn([("a", "b"), ("c",), ("d", "e")]) == [
        (("c", "d", "e"), ("a", "b")),
        (("a", "b", "d", "e"), ("c",)),
        (("a", "b", "c"), ("d", "e")),
    ]


@pytest.mark.parametrize("parts", [[("a",)], [("a",), ()]], ids=["one fold", "an empty fold"])
def test_a_fold_without_a_patient_is_refused(parts: list[tuple[str, ...]]) -> None:
    with pytest.raises(DataFault, match="make no [12] folds"):
        in_turn(parts)


def test_the_mean_of_the_papers_five_folds_is_700_and_its_best_fold_716() -> None:
    """hand-deep-ht, Table 1: .698 .708 .691 .687 .716 have the mean .700 and the sample deviation .0119."""
    paper = (0.698, 0.708, 0.691, 0.687, 0.716)
    turns = in_turn([(number,) for number in range(5)])
    lines = table(turns, ("mIoU",), lambda number, others, held: [paper[held[0]]]).splitlines()
    assert [line.split() for line in lines[1:6]] == [[str(n), f"{value:.3f}"] for n, value in enumerate(paper, 1)]
    assert lines[6].split() == ["mean", "0.700"]
    assert lines[7].split() == ["sd", "0.012"]
