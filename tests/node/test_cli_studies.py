"""What `osteon studies` and `osteon retry` tell of a study: its deliveries, and what does not belong to it."""

import json
from pathlib import Path
from typing import Any

import pytest

from node.cli import main
from node.config import read_config
from node.database import open_database
from storage import deliveries, intake, parcels, peers, runs, studies
from storage.engine import begin
from storage.intake import Taken
from storage.journal import Place, RecordMeta
from storage.results import ResultFile
from storage.runs import Ending
from storage.states import Outcome

REFUSED = "it has no room (0xA700)."


@pytest.fixture
def settings(tmp_path: Path) -> str:
    path = tmp_path / "node.toml"
    path.write_text('[node]\ndata_folder = "data"\n', encoding="utf-8")
    return str(path)


def came(number: int, content: str = "", patient: str = "one") -> Taken:
    meta = RecordMeta(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
        sop_instance_uid=f"1.2.3.{number}",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.9",
        patient_key=patient,
        calling_ae="PACS",
        called_ae="OSTEON",
        address="127.0.0.1",
        association="a",
        received_at=1000.0,
        modality="DX",
    )
    offset = 4096 * (number + 10 * len(content) + 1)
    return Taken(meta, Place("a.seg", offset, 100, f"{number}{content}"), offset + 200)


def seg() -> ResultFile:
    return ResultFile("seg", 0, "1.2.4", "2.25.1", "2.25.2", "1.2.840.10008.1.2.1", "ab/c.dcm", 10, "f" * 64)


def analysed(settings: str) -> None:
    """A study whose only result waits for its second try, and which had two odd objects."""
    with begin(open_database(read_config(Path(settings)))) as conn:
        pacs = peers.add(conn, peers.Peer(0, "pacs", "PACS", "127.0.0.1", 104, results="own"), 1000.0)
        intake.index(conn, [came(1), came(1, "other"), came(2, patient="two")], 1000.0)
        studies.mark_ready(conn, 1, "It is quiet.", 1001.0)
        claim = runs.claim_ready(conn, "worker", 60.0, 1002.0)
        assert claim is not None
        runs.finish(
            conn, claim, Ending(Outcome.OK_FINDINGS, "Found.", results=(seg(),), destinations=(pacs.id,)), 1003.0
        )
        parcel = parcels.claim_next(conn, pacs.id, "sender", 60.0, 1004.0)
        assert parcel is not None
        deliveries.later(conn, parcel.items[0][0], 4e9, REFUSED, 1005.0, 0xA700)


def told(settings: str, capsys: Any) -> Any:
    capsys.readouterr()
    assert main(["studies", "1", "--json", "--config", settings]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_delivery_that_waits_shows_its_next_try_and_the_answer_of_the_peer(settings: str, capsys: Any) -> None:
    analysed(settings)
    (sent,) = told(settings, capsys)["results"]
    assert (sent["state"], sent["status"], sent["error"], sent["attempts"]) == ("pending", "0xA700", REFUSED, 1)
    assert sent["next_try_unix_s"] == 4e9
    assert main(["studies", "1", "--config", settings]) == 0
    text = capsys.readouterr().out
    assert "2096-10-0" in text
    assert "0xA700" in text


def test_retry_has_what_waits_tried_at_once(settings: str, capsys: Any) -> None:
    analysed(settings)
    assert main(["retry", "1", "--config", settings]) == 0
    assert "Study 1 is being sent now" in capsys.readouterr().out
    (sent,) = told(settings, capsys)["results"]
    assert sent["next_try_unix_s"] < 4e9


def test_what_does_not_belong_to_a_study_is_listed(settings: str, capsys: Any) -> None:
    analysed(settings)
    found = told(settings, capsys)["conflicts"]
    assert [(one["kind"], one["sop_instance_uid"]) for one in found] == [
        ("instance", "1.2.3.1"),
        ("patient", "1.2.3.2"),
    ]
    assert main(["studies", "1", "--config", settings]) == 0
    assert "the first are kept and used" in capsys.readouterr().out
