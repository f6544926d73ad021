"""Each command loads its own file and nothing that only others need."""

import argparse
import subprocess
import sys
from importlib import import_module

import pytest

from node.cli import FILES, main

HEAVY = ("scipy", "pydicom", "pynetdicom", "highdicom", "onnxruntime", "alembic")
"""What takes long to load; alembic is needed once, when a database is made."""


@pytest.mark.parametrize("file", FILES)
def test_the_table_names_the_commands_that_each_file_registers(file: str) -> None:
    commands = argparse.ArgumentParser().add_subparsers()
    import_module(f"node.cli.{file}").add_commands(commands, argparse.ArgumentParser(add_help=False))
    assert set(commands.choices) == set(FILES[file])


@pytest.mark.parametrize("words", [["peers", "list"], ["studies"], ["held"], ["assessments"], ["audit"]])
def test_a_listing_loads_no_library_that_it_does_not_need(words: list[str], tmp_path, capsys) -> None:
    config = tmp_path / "node.toml"
    config.write_text('[node]\nae_title = "OSTEON"\ndata_folder = "data"\n')
    assert main(["peers", "list", "--config", str(config)]) == 0  # makes the database
    told = (
        f"import sys; from node.cli import main; code = main({[*words, '--config', str(config)]!r}); "
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "0 []", done.stdout + done.stderr


def test_what_is_no_command_is_told_with_all_that_are(capsys) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["studdies"])
    assert refused.value.code == 2
    told = capsys.readouterr().err
    assert "studdies" in told
    assert all(word in told for words in FILES.values() for word in words)
