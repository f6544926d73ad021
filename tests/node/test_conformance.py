"""The conformance statement is that of the code, and the committed one is that which the code prints."""

import ast
from pathlib import Path

import pytest

from models.syntaxes import SUPPORTED_TRANSFER_SYNTAXES
from node import cli, statuses
from node.conformance import services, statement
from node.conformance.sample import all_made
from node.dimse import negotiate
from node.listen.scan import UNWALKABLE
from node.report import codes
from node.report.builders import BUILDERS
from node.report.profile import PROFILES

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "deploy" / "CONFORMANCE.md"


@pytest.fixture(scope="module")
def text() -> str:
    return statement()


def test_the_committed_statement_is_that_of_the_code(text: str) -> None:
    assert COMMITTED.read_text(encoding="utf-8") == text, "stale: osteon conformance > deploy/CONFORMANCE.md"


def test_the_command_prints_it(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["conformance"]) == 0
    assert capsys.readouterr().out == text


def test_every_class_syntax_and_object_is_in_it(text: str) -> None:
    for uid in (*negotiate.storage_classes(), *(set(SUPPORTED_TRANSFER_SYNTAXES) - UNWALKABLE)):
        assert f"| {uid} |" in text
    for each in all_made():
        assert f"({each.kind.value})" in text


def test_every_kind_that_has_a_builder_is_made_of_the_sample() -> None:
    assert {each.kind for each in all_made()} == set(BUILDERS)


def test_every_profile_and_private_code_is_in_it(text: str) -> None:
    assert all(f"| `{name}` |" in text for name in PROFILES)
    assert f"| {codes.KIND.value} | {codes.KIND.meaning} |" in text


def test_every_status_that_the_listener_answers_is_in_it() -> None:
    """Read from its sources: constants of node.statuses that its files name."""
    named = {
        alias.name
        for path in (ROOT / "node" / "listen").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "node.statuses"
        for alias in node.names
        if alias.name.isupper()
    }
    assert {getattr(statuses, name) for name in named} == set(services.ANSWERED)


def test_tables_have_as_many_cells_in_every_row(text: str) -> None:
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("| ")]
    assert len(tables) > 20
    for rows in tables:
        assert len({row.replace("\\|", "").count("|") for row in rows}) == 1, rows[0]
