"""The list of what the association layer is hardened against names tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES = [line for line in (ROOT / "tests/faults/HARDENING.md").read_text().splitlines() if line.startswith("- ")]


def test_every_rule_names_tests_and_every_test_exists() -> None:
    for rule in RULES:
        tests = re.findall(r"`(tests/\S+\.py)::(\w+)`", rule)
        assert tests, f"no test: {rule}"
        for path, name in tests:
            functions = ast.walk(ast.parse((ROOT / path).read_text()))
            assert any(isinstance(one, ast.FunctionDef) and one.name == name for one in functions), f"{path}::{name}"
