"""Opens the database of a configuration: folder made, schema brought up to date."""

from node.config import Config
from node.errors import ConfigurationError
from storage.engine import Engine, migrate, open_engine


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
    migrate(config.database_url)
    return open_engine(config.database_url)
