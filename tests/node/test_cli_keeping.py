"""What the command line does for the data of a node: rebuilding, and saying so when that is needed."""

import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.cli import main
from node.config import RetentionSection, read_config
from node.database import open_database
from node.timers import old_studies
from storage import intake, peers, runs, studies
from storage.engine import begin, reading
from storage.journal import Journal, RecordMeta
from storage.occupied import copying, shared
from storage.states import Outcome
from storage.verdicts import Taken


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """The configuration of a node that has received two studies and knows one peer."""
    path = tmp_path / "node.toml"
    path.write_text('[node]\ndata_folder = "data"\n[listen]\nport = 0\nhost = "127.0.0.1"\n', encoding="utf-8")
    config = read_config(path)
    engine = open_database(config)
    segment = Journal(config.journal_folder, "first")
    taken = [_received(segment, study, image) for study in (1, 2) for image in (1, 2, 3)]
    segment.close()
    with begin(engine) as conn:
        peers.add(conn, peers.Peer(0, "pacs", "PACS", "127.0.0.1", 104, may_send=True, results="own"), 1.0)
        intake.index(conn, taken, 2.0)
    engine.dispose()
    return path


def _received(segment: Journal, study: int, image: int) -> Taken:
    meta = RecordMeta(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
        sop_instance_uid=f"1.2.{study}.{image}",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        study_instance_uid=f"1.2.{study}",
        series_instance_uid=f"1.2.{study}.0",
        patient_key="0" * 64,
        calling_ae="PACS",
        called_ae="OSTEON",
        address="127.0.0.1",
        association="a",
        received_at=time.time() - 1000,
        modality="DX",
    )
    segment.begin()
    segment.write(f"{study} {image}".encode() * 999)
    return Taken(meta, segment.commit(meta), segment.end)


def said(capsys: Any, settings: Path, *words: str, code: int = 0) -> str:
    """What a command printed, on either stream."""
    found = main([*words, "--config", str(settings)])
    printed = capsys.readouterr()
    assert found == code, printed
    return str(printed.out + printed.err)


def test_a_damaged_database_stops_the_node_until_it_is_rebuilt(settings: Path, capsys: Any) -> None:
    before = said(capsys, settings, "held")
    assert len(before.splitlines()) == 6
    path = settings.parent / "data" / "osteon.sqlite"
    whole = path.read_bytes()
    page = 4096 * 20
    path.write_bytes(whole[:page] + random.Random(1).randbytes(4096) + whole[page + 4096 :])
    for part in ("listen", "work"):
        told = said(capsys, settings, part, code=1)
        assert "damaged" in told
        assert "osteon rebuild" in told
    told = said(capsys, settings, "rebuild")
    assert "6 object(s) of 2 studies" in told
    assert said(capsys, settings, "held") == before


def test_nothing_is_rebuilt_under_a_running_node(settings: Path, capsys: Any) -> None:
    with shared(settings.parent / "data"):
        assert "a node runs on it" in said(capsys, settings, "rebuild", code=1)


def test_without_a_database_peers_are_entered_anew(settings: Path, capsys: Any) -> None:
    before = said(capsys, settings, "held")
    (settings.parent / "data" / "osteon.sqlite").unlink()
    assert "osteon rebuild" in said(capsys, settings, "held", code=1)
    assert "No peer could be read" in said(capsys, settings, "rebuild")
    assert said(capsys, settings, "held") == before


def test_a_backup_is_made_under_a_running_node_and_restored_elsewhere(settings: Path, capsys: Any) -> None:
    before = said(capsys, settings, "held")
    saved = settings.parent / "saved"
    settings.write_text(settings.read_text() + '[database]\nurl = ""  # was postgresql://osteon:secret@host/osteon\n')
    with shared(settings.parent / "data"):
        told = said(capsys, settings, "backup", str(saved))
        assert "Not in it" in told
        assert "TLS keys" in told
    assert "secret" not in (saved / "configuration.toml").read_text()
    assert "is whole" in said(capsys, settings, "restore", "--check", str(saved))
    assert "never overwrites" in said(capsys, settings, "restore", str(saved), code=1)
    other = settings.parent / "other"
    other.mkdir()
    moved = other / "node.toml"
    moved.write_text((saved / "configuration.toml").read_text())
    told = said(capsys, moved, "restore", str(saved))
    assert "Never start two nodes" in told
    assert said(capsys, moved, "held") == before


def test_a_study_is_deleted_by_hand_only_when_it_has_ended(settings: Path, capsys: Any) -> None:
    assert "it is being received" in said(capsys, settings, "forget", "1", code=1)
    assert "Nothing has been deleted" in said(capsys, settings, "forgotten")
    with begin(open_database(read_config(settings))) as conn:
        studies.mark_ready(conn, 1, "The sender is done.", 3.0)
        claim = runs.claim_ready(conn, "worker", 60.0, 3.0)
        assert claim
        runs.finish(conn, claim, runs.Ending(Outcome.NOT_APPLICABLE_BODYPART, "No model is for it."), 4.0)
    assert "is deleted here" in said(capsys, settings, "forget", "1")
    assert "There is no study 1" in said(capsys, settings, "studies", "1", code=1)
    assert "3 received objects" in said(capsys, settings, "forgotten")
    assert len(said(capsys, settings, "held").splitlines()) == 3


def test_studies_are_kept_for_ever_unless_the_configuration_says_otherwise(settings: Path) -> None:
    config = read_config(settings)
    with begin(open_database(config)) as conn:
        for number in (1, 2):
            studies.mark_ready(conn, number, "The sender is done.", 3.0)
            claim = runs.claim_ready(conn, "worker", 60.0, 3.0)
            assert claim
            runs.finish(conn, claim, runs.Ending(Outcome.NOT_APPLICABLE_BODYPART, "No model is for it."), 4.0)
    engine = open_database(config)
    old_studies(engine, config)
    with reading(engine) as conn:
        assert len(studies.studies(conn)) == 2
    with copying(config.data_folder):
        old_studies(engine, replace(config, retention=RetentionSection(days=0.001)))
    with reading(engine) as conn:
        assert len(studies.studies(conn)) == 2, "while a backup is made"
    old_studies(engine, replace(config, retention=RetentionSection(days=0.001)))
    with reading(engine) as conn:
        assert studies.studies(conn) == []
    engine.dispose()
