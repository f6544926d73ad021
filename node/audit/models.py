"""Audits which models a worker has loaded and which it refused, whenever that is not what it was."""

from node.audit.lives import note
from node.job import ModelTold
from storage.audit import Action, Entry, Indicator
from storage.engine import Engine


class Told:
    """What was audited last; the child that loads the models may start anew many times."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._models: tuple[ModelTold, ...] = ()

    def take(self, models: tuple[ModelTold, ...]) -> None:
        """Audit those that were not there, or were otherwise, at the last start of the child."""
        known, self._models = set(self._models), models
        for model in models:
            if model not in known:
                note(self._engine, _entry(model))


def _entry(model: ModelTold) -> Entry:
    about = f"model {model.name} {model.version}".strip()
    details = {"sha256": model.sha256}
    if model.refused:
        return Entry(Action.MODEL_REFUSED, Indicator.SERIOUS, about=about, details=details | {"why": model.refused})
    return Entry(Action.MODEL_LOADED, about=about, details=details | {"provider": model.provider})
