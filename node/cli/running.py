"""`osteon serve`, `osteon listen`, `osteon work`: the node as processes; `osteon passcode` for its file of users."""

import argparse
import getpass
import sys
from typing import Any

from node import logs
from node.config import Config


def add_commands(commands: "argparse._SubParsersAction[Any]", shared: argparse.ArgumentParser) -> None:
    """Register the commands of this file."""
    serving = commands.add_parser("serve", parents=[shared], help="run the node: listener and worker, until SIGTERM")
    serving.set_defaults(command=_serve)
    listening = commands.add_parser("listen", parents=[shared], help="run only a listener")
    listening.set_defaults(command=_listen)
    working = commands.add_parser("work", parents=[shared], help="run only a worker; several may share one database")
    working.set_defaults(command=_work)
    naming = commands.add_parser("passcode", parents=[shared], help="print a line for the file of listen.users")
    naming.add_argument("name", help="the user, as the caller will name it")
    naming.set_defaults(command=_passcode)


def _serve(_arguments: argparse.Namespace, config: Config) -> int:
    from node.serve import serve  # other commands need not load it

    logs.configure(config.node.log_level)
    return serve(config)


def _listen(_arguments: argparse.Namespace, config: Config) -> int:
    from node import listener, serve

    logs.configure(config.node.log_level)
    return serve.run_alone(config, listener.run, listens=True)


def _work(_arguments: argparse.Namespace, config: Config) -> int:
    from node import serve, worker

    logs.configure(config.node.log_level)
    return serve.run_alone(config, worker.run)


def _passcode(arguments: argparse.Namespace, config: Config) -> int:
    """Asked for at a terminal, or the first line of standard input; never an argument, which others could see."""
    from node.cli.acting import by, noted  # serving needs none of these
    from node.listen.users import line_for
    from storage.audit import Action, Entry

    asks = sys.stdin.isatty()
    passcode = getpass.getpass("passcode: ") if asks else sys.stdin.readline().rstrip("\r\n")
    line = line_for(arguments.name, passcode.encode("utf-8"))
    noted(config, Entry(Action.PASSCODE_MADE, by=by(arguments), about=f"user {arguments.name}"))
    print(line)
    return 0
