"""Debian's Orthanc as the PACS of the tests: own folder, own ports, optional Lua routing to the node."""

import base64
import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.processes import HOST, PROJECT, Child, free_port, until

ORTHANC = "/usr/sbin/Orthanc"

DICOMWEB = {"Plugins": ["/usr/share/orthanc/plugins"]}
"""Settings with which it speaks DICOMweb below /dicom-web."""

SCRIPTS = PROJECT / "deploy" / "orthanc"


@dataclass(frozen=True, slots=True)
class Stored:
    """One instance in Orthanc."""

    id: str
    study_instance_uid: str
    sop_instance_uid: str
    modality: str
    sop_class_uid: str


class Orthanc:
    """A running Orthanc; with `node` (AE title, port) it sends stable studies there, by the scripts that we ship."""

    def __init__(
        self,
        folder: Path,
        *,
        ae_title: str = "ORTHANC",
        node: tuple[str, int] | None = None,
        always: bool = False,
        settings: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        user: tuple[str, str] | None = None,
    ):
        """With `user` (name, password) every request over HTTP must be theirs."""
        folder.mkdir(parents=True, exist_ok=True)
        self.ae_title, self.port, self.http = ae_title, free_port(), free_port()
        self.folder = folder
        self._headers = _basic(*user) if user else {}
        if user:
            settings = {"AuthenticationEnabled": True, "RegisteredUsers": dict([user])} | dict(settings or {})
        config = self._config(node, always) | dict(settings or {})
        path = folder / "orthanc.json"
        path.write_text(json.dumps(config, indent=1))
        self.child = Child([ORTHANC, path], folder / "orthanc.log", env=env, cwd=folder)
        self.child.wait_for_port(self.port)
        until(lambda: self._answers(), 20, "Orthanc's REST interface does not answer")

    def _config(self, node: tuple[str, int] | None, always: bool) -> dict[str, Any]:
        config: dict[str, Any] = {
            "Name": "tests",
            "StorageDirectory": str(self.folder / "store"),
            "IndexDirectory": str(self.folder / "store"),
            "DicomAet": self.ae_title,
            "DicomPort": self.port,
            "HttpPort": self.http,
            "JobsHistorySize": 1000,  # of ten, storage commitment takes half, and sendings are counted by their jobs
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
        }
        if node:
            script = SCRIPTS / ("route-always.lua" if always else "route.lua")
            config |= {
                "LuaScripts": [str(script)],
                "UserMetadata": {"OsteonRouted": 4711},
                "StableAge": 1,
                "DicomModalities": {"osteon": [node[0], HOST, node[1]]},
            }
        return config

    def _answers(self) -> bool:
        try:
            self.get("/system")
        except OSError:
            return False
        return True

    def raw(self, path: str) -> bytes:
        """What the REST interface answers to a GET."""
        return self.asked(path)

    def asked(self, path: str, body: object = None, *, method: str | None = None) -> bytes:
        """What the REST interface answers to a GET, or to a POST of a JSON body."""
        data = None if body is None else json.dumps(body).encode()
        address = f"http://{HOST}:{self.http}{path}"
        request = urllib.request.Request(address, data, dict(self._headers), method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def get(self, path: str) -> Any:
        """The JSON that the REST interface answers to a GET."""
        return json.loads(self.raw(path))

    def instances(self, study_instance_uid: str | None = None) -> list[Stored]:
        """Every instance held (of one study)."""
        found = []
        for one in self.get("/instances"):
            tags = self.get(f"/instances/{one}/simplified-tags")
            stored = Stored(
                one, tags["StudyInstanceUID"], tags["SOPInstanceUID"], tags["Modality"], tags["SOPClassUID"]
            )
            if study_instance_uid in (None, stored.study_instance_uid):
                found.append(stored)
        return found

    def modalities(self, study_instance_uid: str) -> list[str]:
        """Sorted modalities of the study's instances, one entry an instance."""
        return sorted(one.modality for one in self.instances(study_instance_uid))

    def has_series(self, study_instance_uid: str, modality: str) -> bool:
        """Whether the study has a series of that modality; asked of Orthanc's index, however much it holds."""
        query = {"Level": "Series", "Query": {"StudyInstanceUID": study_instance_uid, "Modality": modality}}
        return bool(json.loads(self.asked("/tools/find", query)))

    def file(self, instance: str) -> bytes:
        """The DICOM file of an instance as Orthanc keeps it."""
        return self.raw(f"/instances/{instance}/file")

    def sendings(self) -> int:
        """How often a study was sent to the node, to the end and with success."""
        jobs = self.get("/jobs?expand")
        return sum(job["Type"] == "DicomModalityStore" and job["State"] == "Success" for job in jobs)

    def stop(self) -> None:
        """End it at once; its folder stays."""
        self.child.kill()


def _basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}
