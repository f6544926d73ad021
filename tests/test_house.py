"""The rules of the house that no checker knows: what lies where, how long a file may be, what the wheel holds."""

import ast
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from storage.states import ENDED_BY, StudyState

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("node", "models", "storage", "training")
TOP_LEVEL = {"pyproject.toml", "README.md", "LICENSE", "tests", "deploy", *PACKAGES}
DOTFILES = {".ci", ".gitignore", ".gitattributes"}
FILE_LINES, FUNCTION_LINES = 400, 60
MACHINE_PATHS = re.compile(r"(?<![\w.$}])/(?:root|work|home/\w+|Users/\w+|mnt|workspace)/\w")
UNITS_OF_STYLE = ("utils", "helpers", "common", "misc", "base")


def _tracked():
    """Files that belong to the project: known to git, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout: what belongs to the project cannot be told from what was built here")
    return [ROOT / name for name in sorted(listed.stdout.decode().split("\0")) if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def tracked():
    return _tracked()


@pytest.fixture(scope="module")
def sources(tracked):
    return [path for path in tracked if path.suffix == ".py"]


def _name(path):
    return path.relative_to(ROOT).as_posix()


def _text(path):
    return path.read_text(encoding="utf-8")


def test_the_top_level_holds_what_is_allowed_and_nothing_else(tracked):
    top = {path.relative_to(ROOT).parts[0] for path in tracked}
    assert top - DOTFILES <= TOP_LEVEL
    assert {"pyproject.toml", "LICENSE", "tests", "deploy", *PACKAGES} <= top


def test_no_file_is_longer_than_400_lines(sources):
    long = {_name(path): lines for path in sources if (lines := len(_text(path).splitlines())) > FILE_LINES}
    assert not long, "split by topic"


def test_no_function_is_longer_than_60_lines(sources):
    functions = [
        (f"{_name(path)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1)
        for path in sources
        for node in ast.walk(ast.parse(_text(path)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert functions
    assert not [found for found in functions if found[1] > FUNCTION_LINES]


def test_files_are_named_for_a_topic(sources):
    assert not [_name(path) for path in sources if path.stem in UNITS_OF_STYLE]


def test_every_module_of_the_packages_says_what_it_is_for(sources):
    modules = [path for path in sources if path.relative_to(ROOT).parts[0] in PACKAGES]
    assert not [_name(path) for path in modules if not ast.get_docstring(ast.parse(_text(path)))]


def test_no_package_lies_under_tests_and_test_files_have_names_of_their_own(sources):
    tests = [path for path in sources if path.relative_to(ROOT).parts[0] == "tests"]
    assert not [_name(path) for path in tests if path.name == "__init__.py"]
    names = [path.name for path in tests if path.name.startswith("test_")]
    assert not {name for name in names if names.count(name) > 1}


def test_no_path_of_a_machine_is_written_down(tracked):
    found = []
    for path in tracked:
        try:
            text = _text(path)
        except UnicodeDecodeError:
            continue  # a picture or a model
        found += [f"{_name(path)}: {match.group()}" for match in MACHINE_PATHS.finditer(text)]
    assert not found


def _imports(path):
    """Names of the top-level packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(_text(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_torch_is_imported_in_training_only(sources):
    outside = [path for path in sources if path.relative_to(ROOT).parts[0] in ("node", "models", "storage", "deploy")]
    assert not [_name(path) for path in outside if {"torch", "onnx", "onnxscript"} & set(_imports(path))]


def test_phantoms_need_no_torch(sources):
    phantoms = [path for path in sources if _name(path).startswith("training/phantoms/")]
    assert phantoms
    assert not [_name(path) for path in phantoms if "torch" in set(_imports(path))]


def test_nothing_imports_the_applications_of_pynetdicom(sources):
    assert not [_name(path) for path in sources if re.search(r"\b(from|import) pynetdicom\.apps\b", _text(path))]


@pytest.mark.parametrize("state", list(StudyState))
def test_the_file_that_ends_a_state_exists(state):
    named = ROOT / ENDED_BY[state]
    assert named.is_file() or (named.is_dir() and (named / "__init__.py").is_file())


def test_the_commands_of_the_readme_exist_and_can_be_run():
    commands = re.findall(r"^\s*\$?\s*(\./[\w./-]+)", _text(ROOT / "README.md"), flags=re.MULTILINE)
    assert {"./deploy/demo", "./tests/run"} <= set(commands)
    for command in set(commands):
        path = ROOT / command
        assert path.is_file(), f"the README names {command}"
        assert os.access(path, os.X_OK), f"{command} is not executable"


def test_ci_runs_what_the_readme_tells_a_newcomer_to_run():
    assert "./tests/run" in _text(ROOT / ".ci" / "run")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_constraints_are_plain_pins_without_addresses():
    lines = [line for line in _text(ROOT / "deploy" / "constraints.txt").splitlines() if not line.startswith("#")]
    assert not [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)]
    assert "torch==2.13.0" in lines


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = "from hatchling.build import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
    built = subprocess.run([sys.executable, "-c", build, folder], cwd=ROOT, capture_output=True, text=True, check=False)
    if "No module named 'hatchling'" in built.stderr:
        pytest.skip("hatchling is not installed: the wheel was not built")
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(folder / built.stdout.split()[-1]) as archive:
        yield archive


def test_the_wheel_holds_the_four_packages_and_its_own_record(wheel):
    top = {name.partition("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == set(PACKAGES)


def test_the_wheel_holds_every_file_of_the_packages(wheel, tracked):
    packed = set(wheel.namelist())
    expected = {_name(path) for path in tracked if path.relative_to(ROOT).parts[0] in PACKAGES}
    assert expected <= packed


def test_the_wheel_installs_both_commands(wheel):
    listed = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    text = wheel.read(listed).decode()
    assert "osteon = node.cli:main" in text
    assert "osteon-train = training.cli:main" in text


def test_the_wheel_asks_for_torch_only_in_training(wheel):
    metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("METADATA"))).decode()
    torch = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: torch")]
    assert torch
    assert all("extra == 'train'" in line for line in torch)


def test_no_model_file_names_a_folder_of_the_machine_it_was_made_on():
    models = sorted((ROOT / "models" / "bundles").rglob("*.onnx"))
    assert models
    assert [
        path.name for path in models if b"/site-packages/" in path.read_bytes() or b".py" in path.read_bytes()
    ] == []
