"""Starts, ends and crashes of the processes are audited, and so is every setting that was changed in the file."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from node.audit.lives import life
from node.audit.watch import Disk
from node.config import Config, SendSection, SettleSection
from node.database import open_database
from storage import audit_rows
from storage.audit import Action, Indicator
from storage.engine import Engine, reading

LIVES = (Action.STARTED, Action.STOPPED, Action.RECOVERED)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(folder=tmp_path)


def lived(engine: Engine, config: Config) -> None:
    with life(engine, config, "worker") as alive:
        alive.begin()


def rows(engine: Engine, *actions: Action) -> list[audit_rows.Audited]:
    with reading(engine) as conn:
        assert audit_rows.verify(conn).fault == ""
        return audit_rows.of_actions(conn, actions, 200)


def test_start_and_stop_say_version_and_settings(config: Config) -> None:
    engine = open_database(config)
    lived(engine, config)
    started, stopped = rows(engine, *LIVES)
    assert (started.action, stopped.action) == (Action.STARTED, Action.STOPPED)
    assert started.about == stopped.about == "worker"
    assert started.details["version"]
    assert len(started.details["configuration_sha256"]) == 64
    engine.dispose()


def test_a_killed_process_is_told_of_at_the_next_start(config: Config) -> None:
    program = (
        "import os; from pathlib import Path; from node.config import Config; from node.audit.lives import Life\n"
        "from node.database import open_database\n"
        f"config = Config(folder=Path({str(config.folder)!r}))\n"
        "alive = Life(open_database(config), config, 'worker'); alive.begin(); alive._beginning.join()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    engine = open_database(config)
    for _ in range(2):  # told once
        lived(engine, config)
    found = rows(engine, *LIVES)
    assert [row.action for row in found] == ["started", "recovered", "started", "stopped", "started", "stopped"]
    assert (found[1].outcome, found[1].details["process"]) == (Indicator.MAJOR, found[0].details["process"])
    engine.dispose()


def test_each_setting_changed_in_the_file_is_a_row_with_both_values(config: Config) -> None:
    engine = open_database(config)
    changed = replace(
        config,
        send=SendSection(first_retry_s=1.0, max_resends=9),
        settle=SettleSection(cap_s=99.0),
    )
    for each in (config, changed, changed):
        lived(engine, each)
    found = [(row.details["setting"], row.before, row.after) for row in rows(engine, Action.SETTING_CHANGED)]
    assert found == [("send.first_retry_s", 10.0, 1.0), ("send.max_resends", 3, 9), ("settle.cap_s", 1800.0, 99.0)]
    assert len(rows(engine, Action.CONFIGURED)) == 2
    engine.dispose()


def test_a_password_in_the_url_of_the_database_is_not_in_the_trail(config: Config) -> None:
    engine = open_database(config)
    secret = replace(config, database=replace(config.database, url="postgresql://osteon:SECRET@db/osteon"))
    lived(engine, secret)
    (row,) = rows(engine, Action.CONFIGURED)
    assert row.after["database.url"] == "postgresql://osteon:***@db/osteon"
    engine.dispose()


def test_a_disk_that_fills_up_is_told_of_when_it_crosses_a_mark() -> None:
    disk = Disk(100)
    told = [(entry.before, entry.after, entry.outcome) for free in (500, 300, 150, 120, 50, 20, 400)
            if (entry := disk.look(free))]  # fmt: skip
    assert told == [
        ("enough", "low", Indicator.MINOR),
        ("low", "refusing images", Indicator.SERIOUS),
        ("refusing images", "enough", Indicator.SUCCESS),
    ]
