"""`osteon serve`, `osteon listen`, `osteon work`: the node as processes."""

import argparse
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


def _serve(_arguments: argparse.Namespace, config: Config) -> int:
    from node.serve import serve  # other commands need not load it

    logs.configure(config.node.log_level)
    return serve(config)


def _listen(_arguments: argparse.Namespace, config: Config) -> int:
    from node import listener, serve

    logs.configure(config.node.log_level)
    return serve.run_alone(config, listener.run)


def _work(_arguments: argparse.Namespace, config: Config) -> int:
    from node import serve, worker

    logs.configure(config.node.log_level)
    return serve.run_alone(config, worker.run)
