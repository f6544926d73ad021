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
from pathlib import Path
from typing import Generic, TypeVar

from models.cardhead import CARD, Card, FileEntry, Input, Scalar, Stage
from models.cardreader import Place, read_table
from models.errors import BundleDamagedError, BundleError, BundleMissingError, CardError, ContractError
from models.hand_card import SYSTEM as HAND
from models.hand_card import HandCard
from models.knee_card import NORMALISATION, Calibration, InputSpec, KneeCard, Preprocess, Thresholds
from models.knee_card import SYSTEM as KNEE
from models.onnxfile import has_external_data
from models.spine_card import SYSTEM as SPINE
from models.spine_card import SpineCard
from models.stack_card import SYSTEMS as STACKS
from models.stack_card import StackCard

__all__ = [
    "CARD",
    "NORMALISATION",
    "Bundle",
    "Calibration",
    "Card",
    "DamagedBundle",
    "FileEntry",
    "HandCard",
    "Input",
    "InputSpec",
    "KneeCard",
    "Preprocess",
    "Scalar",
    "Shelf",
    "SpineCard",
    "StackCard",
    "Stage",
    "Thresholds",
    "bundles",
    "contract_of",
    "of_kind",
    "parse_card",
    "read_bundle",
    "weights_sha256",
]

MAX_FILE_BYTES = 2**31 - 1
"""A protobuf message cannot be longer."""

_KINDS: dict[str, type[Card]] = {KNEE: KneeCard, SPINE: SpineCard, HAND: HandCard} | dict.fromkeys(STACKS, StackCard)
"""By system: what its card holds."""

C = TypeVar("C", bound=Card, covariant=True)
_K = TypeVar("_K", bound=Card)


@dataclass(frozen=True, slots=True)
class Bundle(Generic[C]):
    """A card with the verified bytes of its files."""

    folder: Path
    card: C
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

    sound: tuple[Bundle[Card], ...]
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


def read_bundle(folder: Path) -> Bundle[Card]:
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


def of_kind(bundle: Bundle[Card], kind: type[_K]) -> Bundle[_K]:
    """The same bundle, known to be of a kind of card.

    Raises
    ------
    ContractError
        It is of another system.
    """
    if not isinstance(bundle.card, kind):
        systems = " or ".join(system for system, each in _KINDS.items() if each is kind)
        raise ContractError(
            f"{bundle.folder} is of the system {bundle.card.system!r}; one of {systems} is needed. Name another bundle."
        )
    return Bundle(bundle.folder, bundle.card, bundle.files, bundle.weights_sha256)


def weights_sha256(hashes: Mapping[str, str]) -> str:
    """One hash for a bundle, from the hexadecimal SHA-256 of each file by its name."""
    return hashlib.sha256("".join(hashes[name] for name in sorted(hashes)).encode("ascii")).hexdigest()


def found_sha256(folder: Path) -> str:
    """The hash of the files that lie in the folder, whether they are a sound bundle or not; "" when none can be read.

    Equal to `Bundle.weights_sha256` for a sound bundle that holds no other ONNX files than its card names.
    """
    try:
        files = sorted(path for path in folder.rglob("*") if path.name == CARD or path.suffix == ".onnx")
        hashes = {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    except OSError:
        return ""
    return weights_sha256(hashes) if hashes else ""


def contract_of(card: Card, role: str) -> dict[str, str]:
    """What `metadata_props` of the ONNX file for `role` ("global", "patch") must say, key by key."""
    return card.contract(role)


def parse_card(raw: bytes, path: Path) -> Card:
    """Read a card from the bytes of its file; `path` is for the messages."""
    try:
        table = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise CardError(f"{path} cannot be read: {exc}. Restore it from where the bundle came.") from exc
    place = Place(path)
    kind = _KINDS.get(str(table.get("system")))
    if kind is None:
        raise place.refused("system", table.get("system", "nothing"), f"this version has {', '.join(_KINDS)}")
    card = read_table(kind, table, place)
    card.check(place)
    return card


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
