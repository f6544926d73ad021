"""`osteon rebuild`: what keeps the data of a node, or brings them back."""

import argparse
import time
from typing import Any

from node.config import Config
from storage.occupied import alone
from storage.rebuild import Rebuilt, rebuild

_REDONE = {"segments", "series", "instances", "arrivals", "conflicts", "returned", "assessments"}


def add_commands(commands: "argparse._SubParsersAction[Any]", shared: argparse.ArgumentParser) -> None:
    """Register the commands of this file."""
    rebuilding = commands.add_parser(
        "rebuild", parents=[shared], help="make a lost or damaged SQLite database anew; the node is stopped"
    )
    rebuilding.set_defaults(command=_rebuild)


def _rebuild(_arguments: argparse.Namespace, config: Config) -> int:
    with alone(config.data_folder):
        made = rebuild(config.database_url, config.journal_folder, time.time())
    for sentence in _told(made):
        print(sentence)
    return 0


def _told(made: Rebuilt) -> list[str]:
    """What is there again, and what is not."""
    sentences = [
        f"{made.objects} object(s) of {made.studies} studies are indexed from the segments: osteon held lists them.",
        f"{made.as_before} of the studies have their former state and answer; the others are taken up again as if they "
        "had just arrived, and their results are sent once more, with the same UIDs for the same images and model.",
    ]
    if made.peers:
        sentences.append(f"{made.peers} peer(s) were read from the old database: look at them (osteon peers list).")
    else:
        sentences.append("No peer could be read: enter them anew (osteon peers add). Until then nobody may send.")
    if made.damaged:
        tables = ", ".join(made.damaged)
        sentences.append(
            f"Rows that could not be read are lost in: {tables}. Look at the newest studies and at the peers."
        )
    if made.kept:
        sentences.append(f"The old database is kept as {made.kept}; it holds patients' study UIDs: remove it in time.")
    else:
        sentences.append("There was no old database: runs, deliveries, timelines and what people said are not known.")
    sentences.append("Then run osteon check, and start the node.")
    return sentences
