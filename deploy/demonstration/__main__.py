"""`./deploy/demo`: starts a node and a PACS, sends sample studies through both, shows what came back."""

import argparse
import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.demonstration.archives import Archive, OrthancArchive, SmallArchive
from deploy.demonstration.mr_samples import mr_samples
from deploy.demonstration.results import Row, save_overlays, table
from deploy.demonstration.running_node import HOST, DemonstrationFailed, RunningNode, free_port
from deploy.demonstration.samples import Sample, samples
from deploy.demonstration.sending import send_files
from deploy.viewer.pages import ViewerUnavailable, is_there, pages
from deploy.viewer.server import Viewer
from storage.states import FINAL_STUDY_STATES, StudyState

ROOT = Path(__file__).resolve().parent.parent.parent
WRONG = ("failed", "quarantined")
PATIENCE_S = 120.0


def main(words: Sequence[str] | None = None) -> int:
    """Run the demonstration; the exit code is 0 when no study failed."""
    args = _arguments(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out: Path = args.out.resolve()
    for name in ("node", "pacs", "overlays"):
        shutil.rmtree(out / name, ignore_errors=True)
    begun = time.monotonic()
    print("Sample studies: making them" if not (out / "samples").is_dir() else "Sample studies: as made before")
    shared, models = ROOT.parent / "shared" / "data", args.models or ROOT / "models" / "bundles"
    more, left_out = mr_samples(out / "samples", shared, models)
    prepared = [*samples(out / "samples", shared), *more]
    for sentence in left_out:
        print(f"  {sentence}")
    orthanc = OrthancArchive(out / "pacs") if args.orthanc or args.viewer else None
    archive: Archive = orthanc or SmallArchive(out / "pacs")
    node = RunningNode(out / "node", free_port(11112), models=args.models)
    viewer: Viewer | None = None
    try:
        if args.viewer and orthanc:
            viewer = _viewer(orthanc)
        archive.start(node.port, node.ae_title)
        node.start()
        node.add_peer(archive.ae_title, archive.port, archive.profile)
        print(f"Running: Osteon ({node.ae_title}) on port {node.port}, {archive.label} on port {archive.port}")
        code = _show(prepared, node, archive, out)
        print(f"All in {time.monotonic() - begun:.0f} s. Not for clinical use.")
        if args.keep or viewer:
            _keep(node, archive, viewer)
    except (DemonstrationFailed, ViewerUnavailable) as exc:
        print(f"demo: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if viewer:
            viewer.stop()
        node.stop()
        archive.stop()
    return code


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="deploy/demo", description=__doc__)
    parser.add_argument("--orthanc", action="store_true", help="Debian's Orthanc as the PACS instead of the small one")
    parser.add_argument("--viewer", action="store_true", help="Orthanc as the PACS, and OHIF to look into it; stays")
    parser.add_argument("--keep", action="store_true", help="leave both running, to send studies of your own")
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="bundles of your own instead of those that ship")
    parser.add_argument("--out", type=Path, default=ROOT / "demo-out", help="where everything goes (default demo-out)")
    return parser.parse_args(words)


def _viewer(archive: OrthancArchive) -> Viewer:
    """OHIF for the PACS, serving; its pages are fetched the first time.

    Raises
    ------
    DemonstrationFailed
        When the PACS has no DICOMweb.
    ViewerUnavailable
        When the pages cannot be had.
    """
    if not archive.has_dicomweb():
        raise DemonstrationFailed("Orthanc has no DICOMweb, which OHIF needs: apt-get install orthanc-dicomweb.")
    if not is_there():
        print("OHIF: getting its pages from npm, 50 MB, once")
    viewer = Viewer(pages(), archive.http_port, free_port(8043))
    viewer.start()
    return viewer


def _show(prepared: Sequence[Sample], node: RunningNode, archive: Archive, out: Path) -> int:
    """Send the samples one after the other, each once the one before has ended; print; the exit code."""
    for sample in prepared:
        program = send_files(sample.files, archive.ae_title, archive.port)
        print(f"  {sample.name}: {_wait(sample, node).replace('_', ' ')}")
    said = {study["study_instance_uid"]: study for study in node.studies()}
    rows = [
        Row(sample, said[sample.study_instance_uid], tuple(archive.results(sample.study_instance_uid)))
        for sample in prepared
    ]
    print(f"Sent by {program} to {archive.label}, which routed them to the node and took its results.")
    print("\n" + table(rows))
    print("(seconds: from the last image at the node to the last result accepted by the PACS)\n")
    for row in rows:
        if row.study["state"] != "delivered":
            print(f"{row.sample.name}: {node.why(row.study['id'])}")
    overlays = save_overlays(rows, out / "overlays")
    print(f"{len(overlays)} overlays as PNG in {out / 'overlays'}:")
    for path in overlays:
        print(f"  {path.name}")
    print(f"Log of the node: {node.log}")
    wrong = [row.sample.name for row in rows if row.study["state"] in WRONG]
    if wrong:
        print(f"FAILED: {'; '.join(wrong)}. Ask the node: {node.osteon} studies --config {node.config}")
    return 1 if wrong else 0


def _wait(sample: Sample, node: RunningNode) -> StudyState:
    """The state in which a study has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while (state := node.state(sample.study_instance_uid)) not in FINAL_STUDY_STATES or state is None:
        if time.monotonic() > deadline:
            raise DemonstrationFailed(
                f"{sample.name} is {state or 'not at the node'} after {PATIENCE_S:.0f} s. See {node.log}."
            )
        time.sleep(0.05)
    return state


def _keep(node: RunningNode, archive: Archive, viewer: Viewer | None) -> None:
    """Leave all running until the user has enough."""
    if viewer:
        print(
            f"\nOpen {viewer.url} in a browser: pick a study, Basic Viewer, then a SEG or SR at the left by two clicks."
        )
    print(
        f"""
Everything goes on running. Send a study of your own to the PACS, which routes it to the node:
  dcmsend -aec {archive.ae_title} {HOST} {archive.port} FILE...
See what became of it:
  {node.osteon} studies --config {node.config}
Ctrl-C ends all."""
    )
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    sys.exit(main())
