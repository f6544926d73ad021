"""The sending half of the node as the faults of sending need it: started, given a study, killed, started again.

`Plain` is the worker with a desk that needs no model, which starts fast; `Whole` is `osteon serve` with real models,
given its studies by C-STORE.
"""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from node.config import read_config
from node.database import open_database
from storage.engine import begin
from storage.faultpoints import SWITCH
from tests.bench import flood
from tests.bench.loads import item_of
from tests.e2e import radiographs
from tests.e2e.node_process import Node, Settings
from tests.e2e.processes import PROJECT, Child
from tests.faults import waiting
from tests.faults.desk import HEALTHY, study_uid

_BUNDLE = PROJECT / "models" / "bundles" / "knee"


class Life(ABC):
    """A node in a folder of its own, whose PACS are the peers named."""

    def __init__(
        self, folder: Path, ports: Mapping[str, int], settings: Settings | None = None, *, confirm: str = "auto"
    ):
        self.node = Node(folder, settings)
        self.order = folder / "fault-point"
        """Where the product looks for the fault point at which it has to die (storage/faultpoints.py)."""
        self.engine = open_database(read_config(self.node.config))
        with begin(self.engine) as conn:
            waiting.add_peers(conn, ports, confirm=confirm, may_send=False)
            waiting.add_peers(conn, {waiting.SENDER.lower(): 104}, results="none")

    @abstractmethod
    def start(self) -> Child:
        """Start it, or start it again."""

    @abstractmethod
    def add_study(self, number: int) -> str:
        """Have it answer a study; its Study Instance UID."""

    @property
    def env(self) -> dict[str, str]:
        """What its processes find in their environment."""
        return {SWITCH: str(self.order)}

    def kill(self) -> None:
        """kill -9 of every process."""
        self.node.kill()

    def close(self) -> None:
        """End it."""
        self.kill()
        self.engine.dispose()


class Plain(Life):
    """The worker alone."""

    def start(self) -> Child:
        self.node.children = [child for child in self.node.children if child.is_running()]
        command = [sys.executable, "-m", "tests.faults.worker_process", self.node.config]
        self.node.children.append(Child(command, self.node.folder / "work.log", env=self.env))
        return self.node.children[-1]

    def add_study(self, number: int) -> str:
        study = study_uid(HEALTHY, number)
        with begin(self.engine) as conn:
            waiting.make_ready(conn, study, time.time())
        return study


class Whole(Life):
    """`osteon serve` with the knee model."""

    def __init__(self, folder: Path, ports: Mapping[str, int], settings: Settings | None = None):
        models = folder.parent / f"{folder.name}-models"
        models.mkdir(parents=True)
        (models / "knee").symlink_to(_BUNDLE)
        own = {"work": {"models_folder": str(models)}}
        super().__init__(folder, ports, own | dict(settings or {}), confirm="auto")

    def start(self) -> Child:
        return self.node.start(env=self.env)

    def add_study(self, number: int) -> str:
        pixels = radiographs.any_pixels(640, 512).copy()
        pixels[:2, :2] = number  # no two studies are the same
        item = item_of(radiographs.radiograph(pixels))
        sent = flood.send(self.node.port, [[item]], calling=waiting.SENDER, called=self.node.ae_title)
        assert sent.statuses == (0,), f"the image was answered with {sent.statuses}"
        return item.study_instance_uid
