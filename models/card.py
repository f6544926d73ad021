"""A bundle: `card.toml`, which says what a model is and what it is for, beside its ONNX files.

    knee/card.toml
    knee/global.onnx
    knee/patch.onnx

A file is read once; its SHA-256 is compared with the card, and the very bytes that were compared are what a session is
opened from. Nothing is loaded whose hash does not match, and nothing that this version does not know is guessed:
an unknown key may be a rule that we would break.

Each ONNX file repeats its contract in `metadata_props` (see `contract_of`), so that a file cannot serve a card it was
not made for.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from models.cardreader import Place, read_table
from models.errors import BundleDamagedError, BundleError, BundleMissingError, CardError, ContractError
from models.onnxfile import has_external_data

CARD = "card.toml"
MAX_FILE_BYTES = 2**31 - 1
"""A protobuf message cannot be longer."""
NORMALISATION = "content-percentiles"
"""The grey value preparation of models/pixels.py; a card that asks for another one is for another version."""

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
class InputSpec:
    """Which images the model is for."""

    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]
    min_side_px: int
    """Images with a shorter side are not assessed."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How an image becomes the input of the networks."""

    size: tuple[int, int]
    """Rows and columns."""
    normalisation: str


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of the bundle, as the card names it."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where the numbers of the networks become answers."""

    mask: float
    """From this fused probability on, a pixel is tumour, in an image that reads as tumour."""
    mask_alone: float
    """The same in an image that as a whole reads as normal: what is outlined there makes it undecided."""
    region_min_px: float
    """Smallest region where no millimetres are known, in pixels of a 256 x 256 grid of the image."""
    region_min_mm2: float
    """Smallest region where they are."""
    normal_total: float
    """T of A6."""
    beta: float
    """Of A5 and A6: the global model's share."""
    tumour: float
    """From this calibrated probability on, an image has a tumour."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """softmax(log(p) / temperature + bias) of the fused classes."""

    temperature: float
    bias: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Card:
    """What a bundle says of itself; `measured` and `training` hold what its maker chose to state."""

    name: str
    system: str
    version: str
    stage: Stage
    created: str
    intended_use: str
    limitations: str
    licence: str
    input: InputSpec
    preprocess: Preprocess
    files: Mapping[str, FileEntry]
    classes: tuple[str, ...]
    thresholds: Thresholds
    calibration: Calibration
    measured: Mapping[str, Scalar | list[Scalar]]
    training: Mapping[str, Scalar | list[Scalar]]

    @property
    def training_kind(self) -> str:
        """ "real" or "phantom": what the weights were trained on."""
        return str(self.training["kind"])


@dataclass(frozen=True, slots=True)
class Bundle:
    """A card with the verified bytes of its files."""

    folder: Path
    card: Card
    files: Mapping[str, bytes]
    """By the card's names ("global", "patch")."""
    weights_sha256: str
    """SHA-256 over the hexadecimal SHA-256 of card.toml and of every file, in the order of the file names.

    The card is one of them: its thresholds decide as much as the weights do.
    """


@dataclass(frozen=True, slots=True)
class DamagedBundle:
    """A folder that was to be a bundle, and why it is none."""

    folder: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Shelf:
    """What lies in a folder of bundles."""

    sound: tuple[Bundle, ...]
    damaged: tuple[DamagedBundle, ...]


def bundles(folder: Path) -> Shelf:
    """Every bundle below `folder`, by name; the damaged ones are listed with their reason, never loaded."""
    if not folder.is_dir():
        reason = f"{folder} is no folder, so no model is loaded. Name the folder of the bundles in work.models_folder."
        return Shelf((), (DamagedBundle(folder, reason),))
    sound, damaged = [], []
    for path in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(("_", "."))):
        try:
            sound.append(read_bundle(path))
        except BundleError as exc:
            damaged.append(DamagedBundle(path, str(exc)))
    return Shelf(tuple(sound), tuple(damaged))


def read_bundle(folder: Path) -> Bundle:
    """Read and verify one bundle.

    Raises
    ------
    BundleMissingError
        The folder, its card, or a file that the card names.
    CardError
        The card cannot be read, or holds a key or value that this version refuses.
    BundleDamagedError
        A file whose SHA-256 is not the card's.
    ContractError
        A file that is no self-contained ONNX model.
    """
    raw = _read(folder / CARD, "Restore the bundle from where it came, or name another one in the configuration.")
    card = parse_card(raw, folder / CARD)
    files = {name: _verified(folder / entry.path, entry) for name, entry in card.files.items()}
    hashes = {entry.path: entry.sha256 for entry in card.files.values()} | {CARD: hashlib.sha256(raw).hexdigest()}
    return Bundle(folder, card, files, weights_sha256(hashes))


def weights_sha256(hashes: Mapping[str, str]) -> str:
    """One hash for a bundle, from the hexadecimal SHA-256 of each file by its name."""
    return hashlib.sha256("".join(hashes[name] for name in sorted(hashes)).encode("ascii")).hexdigest()


def contract_of(card: Card, role: str) -> dict[str, str]:
    """What `metadata_props` of the ONNX file for `role` ("global", "patch") must say, key by key."""
    rows, columns = card.preprocess.size
    return {
        "system": card.system,
        "role": role,
        "classes": ",".join(card.classes),
        "size": f"{rows}x{columns}",
        "normalisation": card.preprocess.normalisation,
    }


def parse_card(raw: bytes, path: Path) -> Card:
    """Read a card from the bytes of its file; `path` is for the messages."""
    try:
        table = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise CardError(f"{path} cannot be read: {exc}. Restore it from where the bundle came.") from exc
    place = Place(path)
    card = read_table(Card, table, place)
    _check(card, place)
    return card


def _check(card: Card, place: Place) -> None:
    """The rules that a type cannot say."""
    if card.preprocess.normalisation != NORMALISATION:
        raise place.refused(
            "preprocess.normalisation", card.preprocess.normalisation, f'this version has "{NORMALISATION}"'
        )
    if not card.files:
        raise place.refused("files", "nothing", "a bundle has at least one file")
    if len({entry.path for entry in card.files.values()} | {CARD}) != len(card.files) + 1:
        raise place.refused("files", "one path twice", "each file has its own path")
    for name, entry in card.files.items():
        if Path(entry.path).name != entry.path or entry.path in (".", ".."):
            raise place.refused(f"files.{name}.path", entry.path, "a file lies in the bundle's own folder")
        if len(entry.sha256) != 64 or not set(entry.sha256) <= set("0123456789abcdef"):
            raise place.refused(
                f"files.{name}.sha256", entry.sha256, "a SHA-256 has 64 hexadecimal digits in lower case"
            )
    for name in ("mask", "beta", "tumour"):
        place.within(f"thresholds.{name}", getattr(card.thresholds, name), 0.0, 1.0)
    place.within("thresholds.mask_alone", card.thresholds.mask_alone, card.thresholds.mask, 1.0)
    place.within("thresholds.normal_total", card.thresholds.normal_total, -1.0, 1.0)
    place.within("calibration.temperature", card.calibration.temperature, 0.01, 100.0)
    for side in card.preprocess.size:
        place.within("preprocess.size", side, 16, 4096)
    if card.training.get("kind") not in ("real", "phantom"):
        raise place.refused("training.kind", card.training.get("kind", "absent"), 'it is "real" or "phantom"')


def _verified(path: Path, entry: FileEntry) -> bytes:
    data = _read(path, "Restore the bundle from where it came.")
    found = hashlib.sha256(data).hexdigest()
    if found != entry.sha256:
        raise BundleDamagedError(
            f"{path}: SHA-256 is {found}, {len(data)} bytes; the card says {entry.sha256}. The file was changed or cut "
            "short, so nothing of this bundle is loaded. Restore it from where it came."
        )
    try:
        external = has_external_data(data)
    except ValueError as exc:
        raise ContractError(f"{path} is no ONNX file: {exc}. Export the model again.") from exc
    if external:
        raise ContractError(
            f"{path} keeps weights in another file (external data), which no hash covers. Export the model as one file."
        )
    return data


def _read(path: Path, advice: str) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise BundleDamagedError(f"{path} has {size} bytes; an ONNX file has at most {MAX_FILE_BYTES}. {advice}")
        return path.read_bytes()
    except OSError as exc:
        raise BundleMissingError(f"{path} cannot be read: {exc.strerror or exc}. {advice}") from exc
