"""What the cards of all systems have in common. The parts that differ are in a file of their own per system:
models/knee_card.py for radiographs, models/stack_card.py for stacks of MR slices.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from models.cardreader import Place

CARD = "card.toml"

Scalar = str | int | float | bool


class Stage(StrEnum):
    """How far a bundle may go."""

    RESEARCH = "research"
    """Runs; every result says that it is research."""
    SHADOW = "shadow"
    """Runs and is recorded; results are not sent."""
    ACTIVE = "active"
    """Runs and its results are sent as a released product's."""
    RETIRED = "retired"
    """Kept for its record; does not run."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of the bundle, as the card names it."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Input:
    """Which images the model is for."""

    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How an image becomes the input of the networks."""

    size: tuple[int, int]
    """Rows and columns."""
    normalisation: str


@dataclass(frozen=True, slots=True)
class Limits:
    """Where the numbers of the networks become answers."""

    mask: float
    """From this probability on, a pixel is tumour."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """How the numbers of the networks become probabilities that mean what they say."""

    temperature: float


@dataclass(frozen=True, slots=True)
class Card:
    """What a bundle says of itself; `measured` and `training` hold what its maker chose to state.

    The card of a system narrows `input`, `preprocess`, `thresholds` and `calibration` to its own types.
    """

    name: str
    system: str
    version: str
    stage: Stage
    created: str
    intended_use: str
    limitations: str
    licence: str
    input: Input
    preprocess: Preprocessing
    files: Mapping[str, FileEntry]
    classes: tuple[str, ...]
    thresholds: Limits
    calibration: Scaling
    measured: Mapping[str, Scalar | list[Scalar]]
    training: Mapping[str, Scalar | list[Scalar]]

    @property
    def training_kind(self) -> str:
        """ "real" or "phantom": what the weights were trained on."""
        return str(self.training["kind"])

    def contract(self, role: str) -> dict[str, str]:
        """What `metadata_props` of the ONNX file for `role` must say, key by key."""
        rows, columns = self.preprocess.size
        return {
            "system": self.system,
            "role": role,
            "classes": ",".join(self.classes),
            "size": f"{rows}x{columns}",
            "normalisation": self.preprocess.normalisation,
        }

    def check(self, place: Place) -> None:
        """The rules that a type cannot say; a system's card adds its own.

        Raises
        ------
        CardError
        """
        self._check_files(place)
        place.within("thresholds.mask", self.thresholds.mask, 0.0, 1.0)
        place.within("calibration.temperature", self.calibration.temperature, 0.01, 100.0)
        for side in self.preprocess.size:
            place.within("preprocess.size", side, 16, 4096)
        if self.training.get("kind") not in ("real", "phantom"):
            raise place.refused("training.kind", self.training.get("kind", "absent"), 'it is "real" or "phantom"')

    def _check_files(self, place: Place) -> None:
        if not self.files:
            raise place.refused("files", "nothing", "a bundle has at least one file")
        if len({entry.path for entry in self.files.values()} | {CARD}) != len(self.files) + 1:
            raise place.refused("files", "one path twice", "each file has its own path")
        for name, entry in self.files.items():
            if Path(entry.path).name != entry.path or entry.path in (".", ".."):
                raise place.refused(f"files.{name}.path", entry.path, "a file lies in the bundle's own folder")
            if len(entry.sha256) != 64 or not set(entry.sha256) <= set("0123456789abcdef"):
                raise place.refused(
                    f"files.{name}.sha256", entry.sha256, "a SHA-256 has 64 hexadecimal digits in lower case"
                )
