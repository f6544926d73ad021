"""Other people's tools, as an administrator calls them: dcmtk's senders and dumpers, dicom3tools' dciodvfy, dcmqi."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.processes import HOST, system_tool


def called(
    command: Sequence[object], *, timeout_s: float = 60, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end with its output (both streams) as text."""
    program, *words = map(str, command)
    return subprocess.run(
        [system_tool(program), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout_s,
        check=False,
        text=True,
        errors="replace",
        env={**os.environ, **(env or {})},
    )


def dcmsend(
    port: int, files: Sequence[Path], *, calling: str = "DCMSEND", to: str = "ANY-SCP", nodelay: bool = False
) -> subprocess.CompletedProcess[str]:
    """Send files on one association, each in its own transfer syntax."""
    command = ["dcmsend", "--verbose", "--no-uid-checks", "-aet", calling, "-aec", to, HOST, port, *files]
    return called(list(map(str, command)), env={"TCP_NODELAY": "1"} if nodelay else None)


def dcmsend_files(port: int, files: Sequence[Path], *, calling: str, to: str) -> None:
    """Send files; AssertionError unless the peer answered success to each."""
    done = dcmsend(port, files, calling=calling, to=to)
    assert done.returncode == 0, done.stdout
    sent = done.stdout.count("with status SUCCESS")
    assert f"* {len(files)} with status SUCCESS" in done.stdout or sent, done.stdout


def storescu(port: int, files: Sequence[Path], *, calling: str, to: str, options: Sequence[str] = ()) -> str:
    """Send files with storescu (all SOP classes of the files proposed); its debug output."""
    command = ["storescu", "-d", "-R", *options, "-aet", calling, "-aec", to, HOST, str(port), *files]
    return called(command).stdout


def echoscu(port: int, *, calling: str, to: str) -> subprocess.CompletedProcess[str]:
    """C-ECHO; return code 0 is success."""
    return called(["echoscu", "-v", "-to", "5", "-aet", calling, "-aec", to, HOST, str(port)])


def iod_faults(path: Path) -> list[str]:
    """The errors that dciodvfy finds in an object."""
    return [line for line in called(["dciodvfy", "-new", path]).stdout.splitlines() if line.startswith("Error")]


def report_text(path: Path) -> str:
    """An SR as dsrdump prints it; AssertionError when it refuses the object."""
    done = called(["dsrdump", "+Pc", path])
    assert done.returncode == 0, done.stdout
    return done.stdout


def presentation_state_faults(path: Path) -> str:
    """What dcmpschk complains of in a presentation state; empty when it passes."""
    done = called(["dcmpschk", path])
    return "" if done.returncode == 0 else done.stdout


def dcmqi_mask(path: Path, folder: Path) -> tuple[list[Path], dict[str, Any]]:
    """A SEG as dcmqi reads it: an NRRD file for each segment, and the JSON beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    tool = Path(sys.executable).with_name("segimage2itkimage")  # of the package dcmqi, beside this Python
    done = called([tool, "--inputDICOM", path, "--outputDirectory", folder, "-p", "seg", "-t", "nrrd"])
    assert done.returncode == 0, done.stdout
    return sorted(folder.glob("seg-*.nrrd")), json.loads((folder / "seg-meta.json").read_text())
