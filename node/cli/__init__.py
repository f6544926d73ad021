"""The command line `osteon`. Every listing has --json.

Exit codes: 0 done; 1 the thing asked for failed or was not found; 2 the command or the configuration is wrong.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

from node.config import Config, config_path, read_config
from node.errors import ConfigurationError, OsteonError
from storage.errors import StorageError

Command = Callable[[argparse.Namespace, Config], int]

FILES: Mapping[str, tuple[str, ...]] = {
    "running": ("serve", "listen", "work", "passcode"),
    "peers": ("peers",),
    "studies": ("studies", "retry", "held"),
    "assessments": ("assessments",),
    "audit": ("audit",),
    "bundles": ("models",),
    "examine": ("check", "explain"),
    "keeping": ("backup", "restore", "rebuild"),
    "forgetting": ("forget", "forgotten"),
    "inventory": ("sbom",),
    "conformance": ("conformance",),
}
"""The commands of each file here. Only the file of the command is loaded: all together take a second, which a node that
starts after a crash, and a script that asks for many studies, would wait each time."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    arguments = _parser(words[0] if words else "").parse_args(words)
    try:
        config = read_config(config_path(arguments.config))
        command: Command = arguments.command
        return command(arguments, config)
    except ConfigurationError as exc:
        print(f"osteon: {exc}", file=sys.stderr)
        return 2
    except (OsteonError, StorageError) as exc:
        print(f"osteon: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our table went away; nothing is wrong
        return 0


class _Part(Protocol):
    """A file with commands."""

    def add_commands(self, commands: "argparse._SubParsersAction[Any]", shared: argparse.ArgumentParser) -> None:
        """Register them."""


def _parser(first: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="osteon",
        description="A DICOM node that answers studies with SEG and SR objects of deep models. Research use only.",
        epilog="Exit codes: 0 done, 1 the thing asked for failed, 2 wrong command or configuration.",
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--config", metavar="FILE", help="the TOML file of settings (default: $OSTEON_CONFIG)")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for part in _parts(first):
        part.add_commands(commands, shared)
    return parser


def _parts(first: str) -> Sequence[_Part]:
    """The file of the first word; all of them to say what there is."""
    files = [file for file, words in FILES.items() if first in words] or list(FILES)
    return [cast("_Part", import_module(f"node.cli.{file}")) for file in files]
