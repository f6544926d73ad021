"""`osteon explain`: which model would answer files on disk or a study we hold, without running it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from models.card import bundles
from node.cards import card_facts
from node.config import Config
from node.database import open_database
from node.errors import ConfigurationError
from node.explain import as_dict, as_text
from node.headers import ImageFacts, facts_of, read_header, read_header_of_file
from node.route import Decision, route
from node.series import SeriesFacts, series_of
from node.suitable import rules_from
from storage import journal, studies
from storage.engine import reading
from storage.errors import Unknown


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was decided, and from what."""

    series: tuple[SeriesFacts, ...]
    decision: Decision

    @property
    def applies(self) -> bool:
        """Whether a model would answer."""
        return self.decision.chosen is not None

    def text(self) -> str:
        """For people."""
        return as_text(self.series, self.decision)

    def as_dict(self) -> dict[str, object]:
        """For programs."""
        return as_dict(self.series, self.decision)


def of_path(path: Path, config: Config) -> Explanation:
    """For one DICOM file, or for every file in a folder as one study."""
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    if not files:
        raise ConfigurationError(f"explain: {path} holds no file.")
    return _explained((facts_of(read_header_of_file(file)) for file in files), config)


def of_study(number: int, config: Config) -> Explanation:
    """For a study that was received."""
    with reading(open_database(config)) as conn:
        if studies.study(conn, number) is None:
            raise Unknown(f"There is no study {number}. List them with: osteon studies")
        held = [instance for instance in studies.instances(conn, number) if not instance.is_own]
    return _explained(_read(held, config), config)


def _read(held: list[studies.Instance], config: Config) -> Iterator[ImageFacts]:
    for instance in held:
        header = read_header(journal.read(config.journal_folder, instance.place), instance.transfer_syntax_uid)
        yield facts_of(header, instance.patient_key)


def _explained(facts: Iterable[ImageFacts], config: Config) -> Explanation:
    series = series_of(facts)
    cards = [card_facts(bundle.card) for bundle in bundles(config.models_folder).sound]
    return Explanation(series, route(series, cards, rules_from(config.route)))
