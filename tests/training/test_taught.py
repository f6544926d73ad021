"""Who taught a network is kept as a hash; where others would by today's split, nothing is gone on with or measured."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from models.card import Bundle, Card, read_bundle
from tests.training import volumes
from tests.training.test_limb import TINY
from training import cli
from training.errors import DataFault, RunFault
from training.limb.recipe import RECIPES
from training.limb.system import SYSTEM
from training.parts import withheld
from training.run import RUN, run_of
from training.stacks.case import split
from training.taught import TAUGHT, TESTED, facts_of_taught, mark_of, refuse_others, taught_of

SHIPPED = read_bundle(cli.SHIPPED / "limb")


def told(training: dict[str, str]) -> Bundle[Card]:
    """The shipped limb, as if its card said this of who taught it."""
    kept = {key: value for key, value in SHIPPED.card.training.items() if key not in (TAUGHT, TESTED)}
    return replace(SHIPPED, card=replace(SHIPPED.card, training={**kept, **training}))


CARD = facts_of_taught({}, ["a", "b"], ["d"])


def asked(part: str, taught: str, tests: str, training: dict[str, str] = CARD) -> None:  # type: ignore[assignment]  # of words only
    refuse_others(told(training), part, lambda: {mark_of(taught)}, lambda: list(tests))


def test_of_names_no_more_than_a_hash_of_all_together_is_kept() -> None:
    assert {TAUGHT: mark_of(["b", "a"]), TESTED: mark_of(["d"])} == CARD
    assert taught_of(["a", "b"]) == {TAUGHT: CARD[TAUGHT]}
    assert all(len(str(value)) == 16 for value in CARD.values())


@pytest.mark.parametrize("part", ["test", "validation"])
def test_parts_of_the_set_that_taught_measure_as_long_as_it_is_the_same(part: str) -> None:
    asked(part, "ab", "d")
    for taught, tests in (("abc", "d"), ("ad", "b"), ("ab", "cd")):
        with pytest.raises(
            DataFault, match="cases or labels have changed since, and some that the split withholds now"
        ):
            asked(part, taught, tests)


def test_all_of_a_set_measure_as_somebody_says_that_it_taught_nothing_unless_it_is_just_what_taught() -> None:
    asked("all", "abc", "d")
    with pytest.raises(DataFault, match="This very set taught"):
        asked("all", "ab", "d")


def test_all_of_a_set_that_cannot_be_divided_measure() -> None:
    def too_small() -> set[str]:
        raise DataFault("one patient")

    refuse_others(told(CARD), "all", too_small, lambda: [])  # type: ignore[arg-type]  # of words only
    with pytest.raises(DataFault, match="one patient"):
        refuse_others(told(CARD), "test", too_small, lambda: [])  # type: ignore[arg-type]


def test_older_cards_are_asked_for_no_more_than_they_keep() -> None:
    asked("test", "x", "y", {})
    asked("test", "ab", "y", {TAUGHT: str(CARD[TAUGHT])})
    with pytest.raises(DataFault, match="Other cases taught"):
        asked("test", "x", "y", {TAUGHT: str(CARD[TAUGHT])})


def test_a_run_that_others_taught_is_not_exported_as_this_set_s() -> None:
    with pytest.raises(RunFault, match="Other cases taught the run than the 2 that this set lets teach"):
        facts_of_taught(taught_of(["a", "c"]), ["a", "b"], ["d"])
    assert facts_of_taught(taught_of(["a", "b"]), ["a", "b"], ["d"]) == CARD


def test_cases_that_come_move_others_from_those_that_choose_to_those_that_test() -> None:
    """Or there would be nothing to refuse; from those that teach it takes a small set, of classes with few cases."""
    cases = [volumes.case(number) for number in range(40)]
    parts = [split(cases[:count]) for count in range(12, 41)]
    moved = [{each.name for each in one.validation} & {each.name for each in parts[-1].test} for one in parts]
    assert any(moved)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run and a bundle of twelve patients, and the set with one more."""
    folder = tmp_path_factory.mktemp("taught")
    for name, count in (("set", 12), ("grown", 13)):
        volumes.write(folder / name, [volumes.case(number) for number in range(count)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, "small", TINY)
        of = ["limb", "--data", str(folder / "set")]
        assert cli.main(["fit", *of, "--out", str(folder / "run")]) == 0
        out = ["--run", str(folder / "run"), "--bundle", str(folder / "bundle"), "--kind", "phantom"]
        assert cli.main(["export", *of, *out]) == 0
    return folder


def test_a_run_and_its_bundle_say_who_taught_and_who_is_to_test(made: Path) -> None:
    parts = split(SYSTEM.read(made / "set"))
    mark = mark_of([case.name for case in parts.train])
    assert run_of(made / "run")[TAUGHT] == mark
    training = read_bundle(made / "bundle").card.training
    assert (training[TAUGHT], training[TESTED]) == (mark, mark_of([case.name for case in parts.test]))


def test_with_a_set_that_has_grown_nothing_goes_on(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(RECIPES, "small", TINY)
    of, bundle = ["limb", "--data", str(made / "grown")], ["--bundle", str(made / "bundle")]
    before = (made / "bundle" / "card.toml").read_bytes()
    refusals = [
        (["fit", *of, "--out", str(made / "run")], "or other cases taught it"),
        (["export", *of, "--run", str(made / "run"), *bundle, "--kind", "phantom"], "Other cases taught the run than"),
        (["calibrate", *of, *bundle], "Other cases taught"),
        (["evaluate", *of, *bundle, "--part", "test", "--write"], "Other cases taught"),
    ]
    for command, why in refusals:
        assert cli.main(command) == 2
        assert why in capsys.readouterr().err
    assert (made / "bundle" / "card.toml").read_bytes() == before


def test_a_comparison_tells_its_doubt_and_writes_nothing(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So a bundle is compared with the one that it began with, which others taught."""
    monkeypatch.setitem(RECIPES, "small", TINY)
    asked = ["compare", "limb", "--bundle", str(made / "bundle"), "--other", str(cli.SHIPPED / "limb"), "--data"]
    before = (made / "bundle" / "card.toml").read_bytes()
    assert cli.main([*asked, str(made / "set")]) == 0
    told = capsys.readouterr().out
    assert told.count("Other cases taught") == 1
    assert f"Other cases taught {cli.SHIPPED / 'limb'}" in told.splitlines()[-1]
    assert cli.main([*asked, str(made / "set"), "--part", "all"]) == 0
    assert f"This very set taught {made / 'bundle'}" in capsys.readouterr().out.splitlines()[-1]
    assert (made / "bundle" / "card.toml").read_bytes() == before


def test_what_calibrated_one_side_compares_none(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(RECIPES, "small", TINY)
    shutil.copytree(made / "bundle", tmp_path / "bundle")
    others = ["--data", str(volumes.write(tmp_path / "others", [volumes.case(number) for number in range(20, 26)]))]
    asked = ["limb", *others, "--part", "all", "--bundle", str(tmp_path / "bundle")]
    assert cli.main(["calibrate", *asked]) == 0
    assert cli.main(["compare", *asked, "--other", str(made / "bundle")]) == 2
    assert "calibrated on these very 6 cases" in capsys.readouterr().err


def test_a_run_from_before_runs_kept_who_taught_them_is_taken_at_its_word(
    made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(RECIPES, "small", TINY)
    run = tmp_path / "run"
    shutil.copytree(made / "run", run)
    older = {key: value for key, value in run_of(run).items() if key != TAUGHT}
    (run / RUN).write_text(json.dumps(older), encoding="utf-8")
    of = ["limb", "--data", str(made / "set")]
    out = ["--run", str(run), "--bundle", str(tmp_path / "bundle"), "--kind", "phantom"]
    assert cli.main(["export", *of, *out]) == 0
    assert cli.main(["fit", *of, "--out", str(run)]) == 0
    assert run_of(run) == run_of(made / "run"), "from now on it says so"
    assert cli.main(["fit", "limb", "--data", str(made / "grown"), "--out", str(run)]) == 2


def test_the_set_that_taught_measures_by_what_it_withholds_alone(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(RECIPES, "small", TINY)
    of = ["limb", "--data", str(made / "set"), "--bundle", str(made / "bundle")]
    for command in ("calibrate", "evaluate"):
        assert cli.main([command, *of, "--part", "all"]) == 2
        assert "This very set taught" in capsys.readouterr().err
    cases = SYSTEM.read(made / "set")
    assert withheld(read_bundle(made / "bundle"), cases, "test", split) == split(cases).test
