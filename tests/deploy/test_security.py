"""What deploy/SECURITY.md claims is shown by tests, checks and commands that exist."""

import re
from pathlib import Path

import pytest

from node.cli import _parser
from tests.faults.suite import CHECKS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "deploy" / "SECURITY.md").read_text(encoding="utf-8")
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))
GROUPS = {"ALOF", "AUDT", "AUTH", "CNFS", "CSUP", "DIDT", "DTBK", "EMRG", "IGAU", "MLDP", "NAUT", "CONN", "PAUT",
          "PLOK", "RDMP", "SBOM", "SAHD", "SGUD", "STCF", "TXCF", "TXIG", "RMOT", "MPII"}  # fmt: skip


@pytest.mark.parametrize(("file", "name"), TESTS, ids=[name for _, name in TESTS])
def test_a_named_test_exists(file: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), f"{file}::{name}"


def test_named_commands_exist() -> None:
    named = set(re.findall(r"`osteon (\w+)", TEXT))
    [commands] = [action.choices for action in _parser("")._actions if isinstance(action.choices, dict)]
    assert len(named) > 8
    assert named <= set(commands)


def test_named_checks_exist() -> None:
    lines = [line for line in TEXT.splitlines() if re.search(r"\bchecks? `", line)]
    named = {name for line in lines for part in re.findall(r"\bchecks? ((?:`[a-z0-9-]+`(?:, | and )?)+)", line)
             for name in re.findall(r"`([a-z0-9-]+)`", part)}  # fmt: skip
    assert len(named) > 7
    assert named <= CHECKS.keys(), sorted(CHECKS)


def test_named_files_exist() -> None:
    named = set(re.findall(r"`((?:deploy|tests)/[\w/.-]+)`", TEXT))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_group_of_mds2_has_an_answer() -> None:
    rows = [line.split("|") for line in TEXT.splitlines() if re.match(r"\| [A-Z]{4} ", line)]
    assert {row[1].split()[0] for row in rows} == GROUPS
    assert all(row[2].strip() and row[3].strip() for row in rows)
