"""Opens the database of a configuration, and waits for one that is busy or away."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from node.config import Config
from node.errors import ConfigurationError
from storage.engine import Connection, Engine, begin, migrate, open_engine
from storage.errors import Busy, Unavailable
from storage.rebuild import refuse_unfinished
from storage.restore import refuse_half_restored

log = logging.getLogger(__name__)

T = TypeVar("T")
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0


def open_database(config: Config) -> Engine:
    """The engine of this process.

    Raises
    ------
    ConfigurationError
        The data folder cannot be made.
    storage.errors.StorageError
        The database cannot be opened or is of a newer version.
    """
    try:
        config.journal_folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigurationError(
            f"node.data_folder: {config.data_folder} cannot be made: {exc.strerror}. Name a folder that the user of "
            "Osteon may write, or make it."
        ) from exc
    refuse_half_restored(config.data_folder)
    refuse_unfinished(config.database_url, config.journal_folder)
    migrate(config.database_url)
    return open_engine(config.database_url)


def patiently(engine: Engine, change: Callable[[Connection], T], patience_s: float) -> T:
    """Make a change in a transaction of its own, again and again while the database is busy or away.

    What has been done already (an analysis, an object that a peer took) must not be lost for a moment's lock.

    Raises
    ------
    Busy, Unavailable
        Still so after `patience_s`.
    """
    deadline, pause = time.monotonic() + patience_s, _FIRST_PAUSE_S
    while True:
        try:
            with begin(engine) as conn:
                return change(conn)
        except (Busy, Unavailable) as exc:
            if time.monotonic() + pause > deadline:
                raise
            log.warning("The database is tried again in %.1f s: %s", pause, exc)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
