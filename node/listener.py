"""Wires the listening process: settings for node/listen from the configuration, and the database behind it."""

import threading
import time
from collections.abc import Callable

from models.syntaxes import SUPPORTED_TRANSFER_SYNTAXES
from node import certificates
from node.audit.lives import life
from node.config import Config
from node.database import open_database
from node.listen.server import run as run_server
from node.listen.settings import ListenSettings, tls_files
from node.resends import ResendRules
from storage.engine import reading, verify
from storage.occupied import shared

_MB = 1024 * 1024


def run(config: Config, stop: threading.Event, on_listening: Callable[[], None] = lambda: None) -> None:
    """Receive until `stop` is set; `on_listening` is called once callers are let in.

    Raises
    ------
    storage.errors.Damaged
        The database is not what was written: nothing is received until a person has looked.
    storage.errors.InUse
        The data folder is being rebuilt or restored.
    """
    with shared(config.data_folder):
        engine = open_database(config)
        try:
            with reading(engine) as conn:
                verify(conn)
            certificates.warn(config, time.time())
            with life(engine, config, f"listener {config.listen.name}") as alive:

                def serves() -> None:
                    on_listening()
                    alive.begin()

                run_server(settings_from(config), config.database_url, stop, serves)
        finally:
            engine.dispose()


def settings_from(config: Config) -> ListenSettings:
    """The listener's own settings."""
    section = config.listen
    return ListenSettings(
        ae_title=config.node.ae_title,
        journal_folder=config.journal_folder,
        transfer_syntaxes=SUPPORTED_TRANSFER_SYNTAXES,
        host=section.host,
        port=section.port,
        allow_unknown=section.allow_unknown,
        max_associations=section.max_associations,
        max_pdu_bytes=section.max_pdu_bytes,
        max_object_bytes=section.max_object_mb * _MB,
        reserve_bytes=section.reserve_mb * _MB,
        request_timeout_s=section.request_timeout_s,
        pdu_timeout_s=section.pdu_timeout_s,
        idle_timeout_s=section.idle_timeout_s,
        object_timeout_s=section.object_timeout_s,
        name=section.name,
        tls=tls_files(config),
        resends=ResendRules.of(config.send),
        users=config.file(section.users) if section.users else None,
        user_required=section.user_required,
    )
