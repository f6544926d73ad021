"""After a crash the node is there at once: nothing is loaded that the first caller does not need.

How long that takes is measured by `python tests/faults/run.py kill-9`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import until
from tests.faults.targets import Osteon

HEAVY = ("alembic", "highdicom", "onnxruntime", "psycopg", "scipy", "torch")
"""pydicom, which pynetdicom brings, loads numpy and the decoders that it finds."""
PROGRAMS = {
    "the listener": "import node.listener",
    "the parent": "import node.cli, node.serve; node.cli._parser('serve')",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_receives_loads_nothing_that_reads_images_or_computes(name: str) -> None:
    program = f"import sys\n{PROGRAMS[name]}\nprint([name for name in {HEAVY} if name in sys.modules])"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_node_that_was_killed_answers_again_and_then_works(tmp_path: Path) -> None:
    target = Osteon(tmp_path / "node", part="serve")
    try:
        target.start()  # makes the database
        target.kill()
        target.start()
        until(lambda: target.echo_s() is not None, 30, "no C-ECHO is answered")
        until(lambda: " analyst " in target.log(), 60, target.log)
    finally:
        target.close()
