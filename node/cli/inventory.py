"""`osteon sbom`: what this installation is made of, for the hospital's security officer and for scanners."""

import argparse
import json
from typing import Any

from node.config import Config


def add_commands(commands: "argparse._SubParsersAction[Any]", shared: argparse.ArgumentParser) -> None:
    """Register the command of this file."""
    listing = commands.add_parser(
        "sbom", parents=[shared], help="print the software bill of materials of what is installed (CycloneDX 1.6, JSON)"
    )
    listing.set_defaults(command=_sbom)


def _sbom(_arguments: argparse.Namespace, config: Config) -> int:
    from models.card import bundles
    from node.sbom import bill

    print(json.dumps(bill(bundles(config.models_folder).sound), indent=2, ensure_ascii=False))
    return 0
