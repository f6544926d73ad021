"""Where the seconds of a study go, for each MR system: the analysing process itself, without network and database."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from node.analyse import Desk, open_desk
from node.job import Job, Setup
from storage.journal import Journal, RecordMeta
from storage.studies import Instance
from tests.bench.latency import by_stage
from tests.bench.loads import EXPLICIT_LE, item_of
from tests.bench.mr_studies import SYSTEMS, Measured, again, shelf, voxels
from tests.bench.tables import Table, middle, spread

STAGES = ("read", "decode", "check", "preprocess", "inference", "fusion", "postprocess", "report", "store")


def job_of(datasets: Sequence[Dataset], journal_folder: Path) -> Job:
    """A study as the listener leaves it."""
    study = str(datasets[0].StudyInstanceUID)
    journal, instances = Journal(journal_folder, f"segment-{study[-24:]}"), []
    for number, ds in enumerate(datasets, start=1):
        item = item_of(ds)
        series = str(ds.SeriesInstanceUID)
        meta = RecordMeta(
            sop_class_uid=item.sop_class_uid, sop_instance_uid=item.sop_instance_uid, transfer_syntax_uid=EXPLICIT_LE,
            study_instance_uid=study, series_instance_uid=series, patient_key="bench", calling_ae="BENCH",
            called_ae="OSTEON", address="127.0.0.1", association="bench", received_at=0.0, modality="MR",
        )  # fmt: skip
        journal.begin()
        journal.write(item.data)
        place = journal.commit(meta)
        uids = item.sop_class_uid, item.sop_instance_uid, series, EXPLICIT_LE
        instances.append(Instance(number, *uids, "MR", place, "bench", True, False))
    journal.close()
    return Job(1, study, 1767225600.0, 1, False, False, tuple(instances), None, ())


def measure(desk: Desk, one: Measured, rounds: int, folder: Path) -> tuple[dict[str, list[float]], str, str]:
    """Seconds by stage, one entry a round after one that does not count; the outcome, and the size of the images."""
    seconds: dict[str, list[float]] = {}
    outcome = size = ""
    for number in range(rounds + 1):
        datasets = again(one.make(90_001))
        size = voxels(datasets)
        analysis = desk.analyse(job_of(datasets, folder))
        outcome = analysis.outcome.value
        if number:
            for stage, value in (*by_stage(analysis.timings_s).items(), ("whole", sum(analysis.timings_s.values()))):
                seconds.setdefault(stage, []).append(value)
    return seconds, outcome, size


def systems_table(rounds: int) -> Table:
    """Median seconds of each stage, the whole with its spread."""
    table = Table(
        f"Seconds of a study in the analysing process, CPU, {os.cpu_count()} threads",
        ("system", "bundle", "images", *STAGES, "whole", "outcome"),
    )
    with tempfile.TemporaryDirectory(prefix="osteon-bench-") as name:
        folder = Path(name)
        ships = shelf(folder / "models")
        for part in ("journal", "results"):
            (folder / part).mkdir()
        places = (str(folder / part) for part in ("models", "journal", "results"))
        desk = open_desk(Setup(*places, "cpu", os.cpu_count() or 1, "ERROR", "BENCH"))
        for one in SYSTEMS:
            seconds, outcome, size = measure(desk, one, rounds, folder / "journal")
            stages = (middle(seconds.get(stage, [])) for stage in STAGES)
            bundle = "ships" if ships[one.system] else "tiny made networks"
            table.add(one.what, bundle, size, *stages, spread(seconds["whole"]), outcome)
    return table
