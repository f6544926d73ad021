"""`osteon conformance`: the DICOM Conformance Statement."""

import argparse
from typing import Any

from node.config import Config


def add_commands(commands: "argparse._SubParsersAction[Any]", shared: argparse.ArgumentParser) -> None:
    """Register the command of this file."""
    stating = commands.add_parser("conformance", parents=[shared], help="print the DICOM Conformance Statement")
    stating.set_defaults(command=_conformance)


def _conformance(_arguments: argparse.Namespace, _config: Config) -> int:
    from node.conformance import statement  # makes objects, for which the other commands need load nothing

    print(statement(), end="")
    return 0
