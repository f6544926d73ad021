"""The PACS beside the node, as the demonstration sees it: the small one of ours, or Debian's Orthanc."""

import json
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from deploy.demonstration.running_node import HOST, DemonstrationFailed, free_port, stop, wait_for_port
from deploy.demonstration.small_pacs import Destination, SmallPacs
from node.identity import MANUFACTURER

ORTHANC_FILES = Path(__file__).resolve().parent.parent / "orthanc"


@dataclass(frozen=True, slots=True)
class Returned:
    """One result object in the PACS."""

    modality: str
    sop_class_uid: str
    path: Path
    """A DICOM file."""


class Archive(Protocol):
    """What the demonstration needs of a PACS."""

    label: str
    ae_title: str
    port: int
    profile: str
    """Which results it gets, see deploy/ADMIN.md."""

    def start(self, node_port: int, node_ae_title: str) -> None:
        """Start it, routing image studies to the node."""

    def results(self, study_instance_uid: str) -> list[Returned]:
        """What the node sent back for one study."""

    def stop(self) -> None:
        """Stop it."""


class SmallArchive:
    """Our own demonstration PACS, in threads of this process."""

    def __init__(self, folder: Path) -> None:
        self.label, self.profile = "the demonstration's own small PACS", "default"
        self._pacs = SmallPacs(folder, free_port(11113))
        self.ae_title, self.port = self._pacs.ae_title, self._pacs.port

    def start(self, node_port: int, node_ae_title: str) -> None:
        """Listen, and route what comes to the node."""
        self._pacs.route_to = Destination(node_ae_title, HOST, node_port)
        self._pacs.start()

    def results(self, study_instance_uid: str) -> list[Returned]:
        """What came from the node."""
        kept = self._pacs.kept(study_instance_uid)
        return [Returned(k.modality, k.sop_class_uid, k.path) for k in kept if k.is_result]

    def stop(self) -> None:
        """Stop listening."""
        self._pacs.stop()


def _shipped() -> dict[str, Any]:
    """Orthanc's configuration as an administrator copies it."""
    return dict(json.loads((ORTHANC_FILES / "orthanc.json").read_text(encoding="utf-8")))


class OrthancArchive:
    """Debian's Orthanc with the configuration and the Lua script of deploy/orthanc."""

    def __init__(self, folder: Path) -> None:
        self.label, self.ae_title = "Orthanc", "ORTHANC"
        self.profile = "ohif"  # which people put beside it, and --viewer too
        self.folder = folder
        self.port, self.http_port = free_port(4242), free_port(8042)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, node_port: int, node_ae_title: str) -> None:
        """Start the server and wait for it."""
        program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            raise DemonstrationFailed(
                "Orthanc is not installed: apt-get install orthanc orthanc-gdcm orthanc-dicomweb."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        config = _shipped()
        config |= {
            "DicomPort": self.port,
            "HttpPort": self.http_port,
            "LuaScripts": [str(ORTHANC_FILES / "route.lua")],
            "DicomModalities": {"osteon": [node_ae_title, HOST, node_port]},
            "StorageDirectory": str(self.folder / "store"),
            "IndexDirectory": str(self.folder / "store"),
            "Plugins": [folder for folder in config["Plugins"] if Path(folder).is_dir()],
            "StableAge": 1,
        }
        path, log = self.folder / "orthanc.json", self.folder / "orthanc.log"
        path.write_text(json.dumps(config, indent=2), encoding="utf-8")
        with log.open("wb") as file:
            self._process = subprocess.Popen([program, str(path)], cwd=self.folder, stdout=file, stderr=file)
        wait_for_port("Orthanc", self.port, self._process, log)
        wait_for_port("Orthanc", self.http_port, self._process, log)

    def has_dicomweb(self) -> bool:
        """Whether the plugin that a web viewer needs is installed."""
        return any(any(Path(folder).glob("libOrthancDicomWeb*")) for folder in _shipped()["Plugins"])

    def _series(self, study_instance_uid: str) -> list[dict[str, Any]]:
        """The series of a study that the node made."""
        query = {"Level": "Series", "Query": {"StudyInstanceUID": study_instance_uid}, "Expand": True}
        found: list[dict[str, Any]] = self._ask("/tools/find", query)
        return [series for series in found if series["MainDicomTags"].get("Manufacturer") == MANUFACTURER]

    def results(self, study_instance_uid: str) -> list[Returned]:
        """What Orthanc holds of the study that the node made, as files."""
        found = []
        for series in self._series(study_instance_uid):
            tags = series["MainDicomTags"]
            for instance in series["Instances"]:
                path = self.folder / f"{instance}.dcm"
                path.write_bytes(self._raw(f"/instances/{instance}/file"))
                simple = self._ask(f"/instances/{instance}/simplified-tags")
                found.append(Returned(tags["Modality"], simple["SOPClassUID"], path))
        return found

    def stop(self) -> None:
        """Stop the server."""
        if self._process is not None:
            stop(self._process)

    def _raw(self, path: str, body: object = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{HOST}:{self.http_port}{path}", data=data)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def _ask(self, path: str, body: object = None) -> Any:
        return json.loads(self._raw(path, body))
