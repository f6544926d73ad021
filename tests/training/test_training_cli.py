"""From pictures to a measured bundle by the commands a user types; and faults said in sentences."""

import json
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from models.card import read_bundle
from models.knee import load
from tests.training import collections
from training import cli
from training.knee import commands
from training.knee.nets import NetSpec
from training.knee.recipe import SMALL, Recipe
from training.run import RUN

SIDE = 64


def small(stage, steps: int):
    last = stage.batches.phases[-1]
    batches = replace(stage.batches, phases=(replace(last, start=0.0, side=SIDE),))
    return replace(stage, batches=batches, plan=replace(stage.plan, steps=steps, observe_every=20, rate=3e-3))


def tiny(steps: int = 60) -> Recipe:
    """The small recipe at a quarter of its size and a hundredth of its steps."""
    return replace(
        SMALL,
        side=SIDE,
        net=NetSpec(
            widths=(8, 12, 16),
            depths=(1, 1, 1),
            decoder_depth=1,
            stem_stride=2,
            pools_decoder=True,
            whitens=True,
            evens=True,
            dropout=0.0,
        ),
        global_stage=small(SMALL.global_stage, steps),
        patch_stage=small(SMALL.patch_stage, steps // 3),
    )


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a recipe in the place of the small one."""
    monkeypatch.setitem(commands.RECIPES, "small", tiny())
    monkeypatch.setattr(commands, "SIDE", SIDE)


@pytest.mark.slow
def test_fit_export_calibrate_evaluate(quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run, made = collections.write(tmp_path / "set", images=960), tmp_path / "run", tmp_path / "knee"
    common = ["--data", str(data)]
    assert cli.main(["fit", "knee", *common, "--out", str(run)]) == 0
    looks = ["--global-side", str(SIDE), "--global-side", str(2 * SIDE), "--mirror"]
    assert (
        cli.main(["export", "knee", *common, "--run", str(run), "--bundle", str(made), "--kind", "phantom", *looks])
        == 0
    )
    norms = [node for node in onnx.load(made / "global.onnx").graph.node if node.op_type == "BatchNormalization"]
    assert len(norms) <= 4, "at most that of the class head, once a look: the others are in their convolutions"
    assert cli.main(["calibrate", "knee", *common, "--bundle", str(made)]) == 0
    capsys.readouterr()
    picture, report = tmp_path / "montage.png", tmp_path / "report.html"
    page = ["--report", str(report), "--run", str(run)]
    assert (
        cli.main(["evaluate", "knee", *common, "--bundle", str(made), "--write", "--montage", str(picture), *page]) == 0
    )
    told = json.loads(capsys.readouterr().out)
    card = read_bundle(made).card
    assert card.measured["tumour_auc"] == told["tumour_auc"]
    assert told["tumour_auc"][0] > 0.8
    assert card.training["steps"] == [60, 20]
    assert card.training_kind == "phantom"
    assert load(read_bundle(made)).identity.training_data == "phantom"
    assert picture.stat().st_size > 1000
    shown = report.read_text(encoding="utf-8")
    assert shown.count("<svg") == 8, "confusion, two ROC, two calibrations, Dice, two losses"
    assert "tumour: AUC" in shown
    assert "data:image/png;base64," in shown


@pytest.mark.slow
def test_the_ablation_trains_its_rows_and_sets_them_beside_the_paper(
    quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = collections.write(tmp_path / "set", images=960)
    assert cli.main(["ablate", "knee", "--data", str(data), "--out", str(tmp_path / "runs"), "--kind", "phantom"]) == 0
    masks, classes = (table.splitlines() for table in capsys.readouterr().out.split("\n\n"))
    assert [line[0] for line in masks[2:]] == list("12345")
    assert [line.split()[-1] for line in masks[2:]] == ["0.695", "0.773", "0.665", "0.789", "0.848"]
    dices = [float(line.split()[-3]) for line in masks[2:]]
    assert max(dices) > 0.1, "bright rectangles are learned by at least one of them"
    assert [line[0] for line in classes[2:]] == list("12345")
    assert [line.split()[-1] for line in classes[2:]] == ["branch", "0.946", "0.786", "0.944", "0.990"]
    assert max(float(line.split()[-9]) for line in classes[3:]) > 0.5, "and told from images without one"
    assert cli.main(["ablate", "knee", "--data", str(data), "--kind", "phantom"]) == 2
    assert "--out" in capsys.readouterr().err


def test_folds_of_the_knee_hold_out_blocks(
    quick: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = commands.RECIPES["small"]
    monkeypatch.setitem(commands.RECIPES, "small", replace(recipe, global_stage=small(recipe.global_stage, 2)))
    data = collections.write(tmp_path / "set", images=240)
    asked = ["folds", "knee", "--data", str(data), "--out", str(tmp_path / "runs"), "--count", "2"]
    assert cli.main(asked) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "AUC of tumour" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "mean", "sd"]


def test_a_folder_that_is_no_collection_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fit", "knee", "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    assert "Looked for labels.csv" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", str(tmp_path), "--run", str(tmp_path), "--bundle", str(tmp_path / "b"), "--kind", "real"]
    assert cli.main(["export", "knee", *arguments]) == 2
    assert "is not the folder of a run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("system", "told"),
    [
        ("limb", "--global-side 64"),
        ("hand", "--global-side 64"),
        ("diffusion", "--patch-side 64"),
        ("spine", "--start-share 0.5"),
        ("spine", "--mirror"),
    ],
)
def test_an_export_is_not_told_what_its_system_has_not(
    system: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / RUN).write_text('{"preset": "small"}', encoding="utf-8")
    places = ["--run", str(tmp_path), "--data", str(tmp_path), "--bundle", str(tmp_path / "bundle")]
    assert cli.main(["export", system, *places, "--kind", "phantom", *told.split()]) == 2
    assert f"An export of {system} has no {told.split()[0]}. Leave it out." in capsys.readouterr().err


def test_a_folder_that_is_no_bundle_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", "knee", "--data", str(tmp_path), "--bundle", str(tmp_path)]) == 2
    assert "card.toml cannot be read" in capsys.readouterr().err


def test_a_run_of_another_budget_is_not_continued(quick: None, tmp_path: Path, capsys) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"preset": "paper"}')
    data = collections.write(tmp_path / "set", images=12)
    assert cli.main(["fit", "knee", "--data", str(data), "--out", str(tmp_path / "run")]) == 2
    assert "is of another recipe, budget, start or turn" in capsys.readouterr().err


def test_phantoms_are_drawn_by_the_same_program(tmp_path: Path) -> None:
    options = ["--count", "1", "--rows", "128", "--columns", "96", "--layout", "pictures"]
    assert cli.main(["phantoms", "--out", str(tmp_path), *options]) == 0
    assert (tmp_path / "labels.csv").is_file()
