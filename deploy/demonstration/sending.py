"""Sending sample files to the PACS as a modality would: by dcmtk's dcmsend where it is there, else by our client."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread

from deploy.demonstration.running_node import HOST, DemonstrationFailed
from deploy.demonstration.small_pacs import Destination, Kept, send

CALLING = "MODALITY"


def send_files(files: Sequence[Path], ae_title: str, port: int) -> str:
    """C-STORE the files; which program did it.

    Raises
    ------
    DemonstrationFailed
        When any of them was not accepted.
    """
    if shutil.which("dcmsend"):
        command = [
            "dcmsend",
            "--decompress-never",
            "-aet",
            CALLING,
            "-aec",
            ae_title,
            HOST,
            str(port),
            *map(str, files),
        ]
        environment = {**os.environ, "TCP_NODELAY": "1"}  # dcmtk waits 40 ms per object otherwise
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise DemonstrationFailed(f"dcmsend to {ae_title} failed: {done.stderr.strip() or done.stdout.strip()}")
        return "dcmsend"
    accepted = send(Destination(ae_title, HOST, port), [_as_kept(path) for path in files], calling=CALLING)
    if accepted != len(files):
        raise DemonstrationFailed(f"{ae_title} accepted {accepted} of {len(files)} images.")
    return "Osteon's own client"


def _as_kept(path: Path) -> Kept:
    """A DICOM file as something that can be sent."""
    with path.open("rb") as file:
        ds = dcmread(file, stop_before_pixels=True)
    meta = ds.file_meta
    # Preamble, prefix, the group length element itself (12 bytes), and what it counts.
    header_bytes = 128 + 4 + 12 + int(meta.FileMetaInformationGroupLength)
    return Kept(
        str(ds.SOPClassUID),
        str(ds.SOPInstanceUID),
        str(ds.StudyInstanceUID),
        str(ds.SeriesInstanceUID),
        str(ds.Modality),
        str(meta.TransferSyntaxUID),
        path,
        header_bytes,
        is_result=False,
    )
