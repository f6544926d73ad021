"""`osteon models`: the bundles, what they were measured to do, and those that are refused."""

import argparse
from typing import Any

from models import card
from node.cli.tables import show
from node.config import Config


def add_commands(commands: "argparse._SubParsersAction[Any]", shared: argparse.ArgumentParser) -> None:
    """Register the commands of this file."""
    listing = commands.add_parser("models", parents=[shared], help="the model bundles and whether each may be used")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(command=_models)


def _models(arguments: argparse.Namespace, config: Config) -> int:
    found = card.bundles(config.models_folder)
    rows: list[dict[str, object]] = [
        {
            "name": bundle.card.name,
            "version": bundle.card.version,
            "system": bundle.card.system,
            "stage": bundle.card.stage,
            "trained_on": bundle.card.training_kind,
            "modalities": list(bundle.card.input.modalities),
            "body_parts": list(bundle.card.input.body_parts),
            "sha256": bundle.weights_sha256,
            "measured": dict(bundle.card.measured),
            "usable": True,
            "why_not": "",
        }
        for bundle in found.sound
    ]
    rows += [{"name": bad.folder.name, "usable": False, "why_not": bad.reason} for bad in found.damaged]
    shown = [row | {"sha256": str(row.get("sha256", ""))[:12]} for row in rows] if not arguments.json else rows
    columns = ("name", "version", "system", "stage", "trained_on", "modalities", "sha256", "usable", "why_not")
    show(shown, columns, as_json=arguments.json, empty=f"There is no bundle in {config.models_folder}.")
    return 1 if found.damaged else 0
