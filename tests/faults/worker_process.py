"""`osteon work` with the desk of tests/faults/desk.py in place of the models; all else is the product's own.

A file `clock` beside the configuration holds by how many seconds this process's clock is wrong, read anew each time.
"""

import contextlib
import sys
import time
from dataclasses import replace
from pathlib import Path

from node import logs, serve, worker
from node.config import Config, read_config
from node.job import Setup

CLOCK = "clock"


def main(path: Path) -> int:
    """Work until SIGTERM."""
    config = read_config(path)
    logs.configure(config.node.log_level)
    truly = worker._setup

    def setup(config: Config) -> Setup:
        return replace(truly(config), desk="tests.faults.desk")

    worker._setup = setup
    _wrong_clock(path.parent / CLOCK)
    return serve.run_alone(config, worker.run)


def _wrong_clock(file: Path) -> None:
    right = time.time

    def wrong() -> float:
        with contextlib.suppress(OSError, ValueError):
            return right() + float(file.read_text())
        return right()

    time.time = wrong


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
