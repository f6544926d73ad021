"""Thresholds that are chosen by the networks of folds: who may choose, who never does, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from models.card import read_bundle
from tests.training import volumes
from tests.training.test_limb import TINY
from training import cli
from training.limb.recipe import RECIPES
from training.limb.system import SYSTEM
from training.parts import calibrated_on
from training.stacks.case import split
from training.stacks.crossed import judges, learning

COUNT = 2


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Data, a bundle that was trained on them, and the folds of who trains and validates."""
    folder = tmp_path_factory.mktemp("crossed")
    data = volumes.write(folder / "set", [volumes.case(number) for number in range(12)])
    bundle, run, folds = (folder / name for name in ("bundle", "run", "folds"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, "small", TINY)
        told = ["limb", "--data", str(data)]
        assert cli.main(["fit", *told, "--out", str(run)]) == 0
        assert cli.main(["export", *told, "--run", str(run), "--bundle", str(bundle), "--kind", "phantom"]) == 0
        assert cli.main(["folds", *told, "--out", str(folds), "--learning", "--count", str(COUNT)]) == 0
    return data, bundle, folds


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "small", TINY)


def test_everybody_but_the_withheld_is_answered_by_a_network_that_never_saw_him(made: tuple[Path, Path, Path]) -> None:
    data, bundle, folds = made
    cases = SYSTEM.read(data)
    parts = split(cases)
    held = [case.name for _, each in judges(SYSTEM, read_bundle(bundle), cases, folds) for case in each]
    assert sorted(held) == sorted(case.name for case in (*parts.train, *parts.validation))
    assert {case.name for case in learning(cases)}.isdisjoint(case.name for case in parts.test)


def test_what_they_choose_is_written_into_the_card_with_who_chose(
    made: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data, bundle, folds = made
    told = ["calibrate", "limb", "--data", str(data), "--bundle", str(bundle)]
    assert cli.main(told) == 0
    alone = read_bundle(bundle).card
    assert cli.main([*told, "--folds", str(folds)]) == 0
    card = read_bundle(bundle).card
    names = [case.name for case in learning(SYSTEM.read(data))]
    said = calibrated_on(names, f"{COUNT} folds of training and validation")
    assert {key: card.measured[key] for key in said} == said
    assert card.calibration != alone.calibration
    assert card.thresholds.unlike == alone.thresholds.unlike, "what is strange, only the network itself can say"  # type: ignore[attr-defined]  # of a stack's card
    assert cli.main(["evaluate", "limb", "--data", str(data), "--bundle", str(bundle)]) == 0


def test_folds_of_other_recipes_patients_or_places_do_not_choose(
    made: tuple[Path, Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, bundle, folds = made
    before = (bundle / "card.toml").read_bytes()

    def refused(reason: str, system: str = "limb", data: Path = data, folds: Path = folds, *more: str) -> None:
        told = ["calibrate", system, "--data", str(data), "--bundle", str(bundle), "--folds", str(folds), *more]
        assert cli.main(told) == 2
        assert reason in capsys.readouterr().err

    refused("holds no folds. Make them with osteon-train folds limb --learning", folds=tmp_path)
    refused("--folds chooses by who trains or validates, --part all by others", "limb", data, folds, "--part", "all")
    refused("calibrate knee has no --folds: limb and diffusion have. Leave it out.", system="knee")
    others = volumes.write(tmp_path / "others", [volumes.case(number) for number in range(20, 32)])
    refused("was not trained on these patients", data=others)
    everybody = tmp_path / "everybody"
    asked = ["folds", "limb", "--data", str(data), "--out", str(everybody), "--count", "2"]
    assert cli.main(asked) == 0
    refused("fold-1 is not of these folds: other patients taught it", folds=everybody)
    assert cli.main([*asked, "--learning"]) == 2, "nor does it go on with them"
    longer = tmp_path / "longer"
    monkeypatch.setitem(RECIPES, "small", replace(TINY, plan=replace(TINY.plan, steps=2)))
    asked = ["folds", "limb", "--data", str(data), "--out", str(longer), "--learning", "--count", "2"]
    assert cli.main(asked) == 0
    capsys.readouterr()
    refused("what suits one need not suit the other", folds=longer)
    assert (bundle / "card.toml").read_bytes() == before
    assert cli.main(["folds", "knee", "--data", str(data), "--out", str(longer), "--learning"]) == 2
    assert "folds knee has no --learning" in capsys.readouterr().err
