"""The README's table of figures says what the cards say."""

import shutil
from pathlib import Path

import pytest

import models
from training import cli, figures
from training.errors import RunFault

ROOT = Path(models.__file__).parents[1]
BUNDLES = ROOT / "models" / "bundles"


def test_the_readme_says_what_the_cards_say():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    told = text.partition(figures.BEGIN)[2].partition(figures.END)[0].strip()
    assert told == figures.table(BUNDLES), "run: osteon-train figures --readme README.md"


def test_a_figure_that_falls_short_is_bold_and_one_without_an_interval_has_none():
    auc, ece = figures.Measure("auc", "AUC", 0.9), figures.Measure("ece", "ECE", 0.08, is_at_most=True)
    assert figures._figure([0.91, 0.85, 0.95], auc) == "0.91 (0.85-0.95)"
    assert figures._figure([0.80, 0.71, 0.87], auc) == "**0.80** (0.71-0.87)"
    assert figures._figure(0.076, ece) == "0.08"
    assert figures._figure(0.2, ece) == "**0.20**"
    assert figures._figure(None, ece) == "not measured"


def test_a_system_without_a_bundle_is_named(tmp_path):
    made = figures.table(tmp_path)
    assert made.count("no bundle ships") == len(figures.ASKED)


def test_a_damaged_bundle_stops_the_table(tmp_path):
    shutil.copytree(BUNDLES / "knee", tmp_path / "knee")
    (tmp_path / "knee" / "patch.onnx").write_bytes(b"cut short")
    with pytest.raises(RunFault, match="SHA-256"):
        figures.table(tmp_path)


def test_the_command_puts_the_table_where_it_stands_and_refuses_a_file_without_a_place(tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{figures.BEGIN}\nold\n{figures.END}\nafter\n")
    for words in ("says now what", "says what"):
        assert cli.main(["figures", "--bundles", str(BUNDLES), "--readme", str(readme)]) == 0
        assert words in capsys.readouterr().out
    text = readme.read_text()
    assert "old" not in text
    assert text.startswith("before")
    assert text.endswith("after\n")
    readme.write_text("nothing")
    assert cli.main(["figures", "--bundles", str(BUNDLES), "--readme", str(readme)]) == 2
