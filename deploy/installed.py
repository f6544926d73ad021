"""Says which requirements of pyproject.toml this environment does not meet; exit code 0 when it meets all.

`python deploy/installed.py ROOT EXTRAS`: used when there is no network, to tell "nothing to do" from "cannot run".
"""

import sys
import tomllib
from importlib import metadata
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement


def missing(root: Path, extras: list[str]) -> list[str]:
    """One sentence for each requirement that is not met."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project.get("optional-dependencies", {})
    wanted = list(project["dependencies"]) + [line for extra in extras for line in optional[extra]]
    faults = [_fault(Requirement(line)) for line in wanted]
    return [fault for fault in [_fault(Requirement(project["name"])), *faults] if fault]


def _fault(wanted: Requirement) -> str:
    """What is wrong with one requirement, or nothing."""
    if wanted.marker and not wanted.marker.evaluate():
        return ""
    try:
        found = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return f"{wanted.name} is not installed."
    if not wanted.specifier.contains(found, prereleases=True):
        return f"{wanted.name} is installed as {found}, wanted is {wanted.specifier}."
    return ""


if __name__ == "__main__":
    found = missing(Path(sys.argv[1]), sys.argv[2].split(","))
    print("\n".join(found), file=sys.stderr)
    sys.exit(1 if found else 0)
