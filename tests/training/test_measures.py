"""Figures with intervals, and two models on the same cases."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.card import read_bundle
from tests.training import volumes
from tests.training.test_limb import TINY
from training import cli
from training.errors import DataFault
from training.limb.recipe import RECIPES
from training.measures import Measure, among, intervals, side_by_side
from training.stacks import evaluate

PATIENTS = np.arange(6)


def mean_of(values: list[float], groups: np.ndarray = PATIENTS) -> Measure:
    told = np.array(values)
    return Measure(lambda chosen: float(told[chosen].mean()), groups, draws=500)


def test_an_interval_holds_its_value_and_none_is_wider_than_the_cases() -> None:
    told = intervals({"same": mean_of([0.5] * 6), "spread": mean_of([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])})
    assert told["same"] == [0.5, 0.5, 0.5]
    value, low, high = told["spread"]
    assert value == 0.5
    assert 0.0 < low < 0.4 < 0.6 < high < 1.0


def test_of_some_patients_the_indices_are_those_of_all() -> None:
    values = np.array([9.0, 1.0, 9.0, 3.0])
    measure = among(np.array([1, 3]), lambda chosen: float(values[chosen].mean()))
    assert measure.of(np.arange(2)) == 2.0
    assert measure.groups.size == 2


def test_a_model_that_is_better_everywhere_is_better_beyond_chance_and_the_same_one_is_not() -> None:
    good, poor = {"dice": mean_of([0.9] * 6)}, {"dice": mean_of([0.4] * 6)}
    head, line, note = side_by_side(("new", "old"), good, poor).splitlines()
    assert head.split() == ["figure", "new", "old", "difference", "(95", "%)", "p"]
    assert line.split() == ["dice", "0.900", "0.400", "+0.500", "(+0.500", "to", "+0.500)", "0.031", "*"], "six coins"
    assert "chance" in note
    same = side_by_side(("new", "old"), good, good).splitlines()[1]
    assert same.split()[3:] == ["+0.000", "(+0.000", "to", "+0.000)", "1.000"]


def test_what_is_hard_for_both_cancels_out() -> None:
    """Alone each interval spans half the scale; one is better by 0.05 on every patient."""
    old = [0.1, 0.3, 0.5, 0.6, 0.8, 0.9]
    line = side_by_side(("new", "old"), {"dice": mean_of([each + 0.05 for each in old])}, {"dice": mean_of(old)})
    assert "+0.050 (+0.050 to +0.050)" in line


def test_whole_groups_are_drawn_together() -> None:
    """Three images of one patient and three of another are two cases, and no six."""
    told = intervals({"dice": mean_of([0.0, 0.0, 0.0, 1.0, 1.0, 1.0], np.array([0, 0, 0, 1, 1, 1]))})
    assert told["dice"] == [0.5, 0.0, 1.0]


def test_other_cases_are_refused() -> None:
    with pytest.raises(DataFault, match="dice is of other cases for a than for b"):
        side_by_side(("a", "b"), {"dice": mean_of([1.0] * 6)}, {"dice": mean_of([1.0] * 6, PATIENTS // 2)})


def test_two_bundles_are_compared_by_one_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(RECIPES, "small", TINY)
    data = ["--data", str(volumes.write(tmp_path / "set", [volumes.case(number) for number in range(12)]))]
    for name, minutes in (("one", "0.001"), ("other", "0.05")):
        run, bundle = str(tmp_path / f"{name}-run"), str(tmp_path / name)
        assert cli.main(["fit", "limb", *data, "--out", run, "--minutes", minutes]) == 0
        options = ["--run", run, "--bundle", bundle, "--kind", "phantom", "--version", f"0.0.{len(name)}"]
        assert cli.main(["export", "limb", *data, *options]) == 0
    capsys.readouterr()
    told = ["compare", "limb", *data, "--bundle", str(tmp_path / "other"), "--other", str(tmp_path / "one")]
    assert cli.main(told) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[:5] == ["figure", "limb", "0.0.5", "limb", "0.0.3"]
    lines = {line.split()[0]: line.split() for line in table[1:]}
    assert float(lines["dice_pooled"][1]) > float(lines["dice_pooled"][2])
    assert "hd95_mm_median_of_outlined" in lines
    assert read_bundle(tmp_path / "one").card.measured == {}, "a comparison writes nothing"
    assert cli.main([*told[:-1], str(tmp_path / "set")]) == 2
    capsys.readouterr()
    assert cli.main([*told[:-1], str(cli.SHIPPED / "diffusion")]) == 2
    assert "is a bundle of diffusion-unet, and limb-unet is compared" in capsys.readouterr().err


def test_one_bundle_is_compared_with_itself_on_other_images(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(RECIPES, "small", TINY)
    cases = [volumes.case(number) for number in range(12)]
    blank = [replace(case, volumes={"t1": np.zeros_like(case.volumes["t1"])}) for case in cases]
    folders = {"teachers": cases[1:], "seen": cases, "blank": blank, "fewer": cases[:11]}
    taught, seen, dark, fewer = (str(volumes.write(tmp_path / name, each)) for name, each in folders.items())
    run, bundle = str(tmp_path / "run"), str(tmp_path / "bundle")
    assert cli.main(["fit", "limb", "--data", taught, "--out", run, "--minutes", "0.05"]) == 0
    assert cli.main(["export", "limb", "--data", taught, "--run", run, "--bundle", bundle, "--kind", "phantom"]) == 0
    capsys.readouterr()
    told = ["compare", "limb", "--part", "all", "--data", seen, "--bundle", bundle]
    assert cli.main([*told, "--other-data", dark]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[:8] == ["figure", "limb", "0.0.1", "on", "seen", "limb", "0.0.1", "on"]
    lines = {line.split()[0]: line.split() for line in table[1:]}
    assert float(lines["dice_pooled"][1]) > float(lines["dice_pooled"][2]), "in the dark nothing is outlined rightly"
    monkeypatch.setattr(evaluate, "look", lambda *asked: sys.exit("measured too early"))
    assert cli.main([*told, "--other-data", fewer]) == 2
    assert "do not hold the same cases: 1 are in one of them only" in capsys.readouterr().err
    assert cli.main(told) == 2
    assert "--other-data" in capsys.readouterr().err


def test_of_few_patients_nothing_is_beyond_chance() -> None:
    few = np.arange(4)
    better = {"dice": mean_of([0.5] * 4, few)}, {"dice": mean_of([0.4] * 4, few)}
    assert side_by_side(("new", "old"), *better).splitlines()[1].endswith("0.125")


def test_a_figure_of_what_each_outlined_has_no_difference() -> None:
    of_its_own = mean_of([3.0] * 6)._replace(is_of_its_own=True)
    line = side_by_side(("new", "old"), {"hd95": of_its_own}, {"hd95": of_its_own}).splitlines()[1]
    assert line.split() == ["hd95", "3.000", "3.000", "of", "cases", "of", "its", "own", "-"]
