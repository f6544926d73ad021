"""The b-value of an image in the dialects of the vendors (DICOM.md §3.2), for images that somebody chose to train on.

The node reads the same of whatever it is sent, with every doubt and contradiction told (node/facts/diffusion.py), which
training must not import; a test holds both to the same answer on every dialect.
"""

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.tag import Tag

MOST = 20_000.0
"""s/mm2; more is no b-value."""
_BIAS, _MODULUS = 2**30, 100_000
"""What GE adds to the values of some series."""
_PRIVATE = (
    (0x0019, "SIEMENS MR HEADER", 0x0C, "SIEMENS"),
    (0x0043, "GEMS_PARM_01", 0x39, "GE "),
    (0x2001, "Philips Imaging DD 001", 0x03, "PHILIPS"),
    (0x0065, "Image Private Header", 0x09, "UIH"),
)
"""Group, creator, element, and how *Manufacturer* (0008,0070) begins."""
_FIRST_BLOCK = 0x10


def b_values(ds: Dataset) -> list[float | None]:
    """Of each frame of an image; one of a single-frame image. None where it is not diffusion-weighted."""
    shared = ds.get("SharedFunctionalGroupsSequence") or [Dataset()]
    each = ds.get("PerFrameFunctionalGroupsSequence")
    if not each:
        return [_single(ds)]
    return [_of_group(group.get("MRDiffusionSequence") or shared[0].get("MRDiffusionSequence")) for group in each]


def _of_group(group: Sequence[Dataset] | None) -> float | None:
    return _number(group[0].get("DiffusionBValue")) if group else None


def _single(ds: Dataset) -> float | None:
    public = _number(ds.get("DiffusionBValue"))
    if public is None:
        public = _of_group(ds.get("MRDiffusionSequence"))
    if public is not None:
        return public
    is_epi = "EP" in _several(ds.get("ScanningSequence"))
    for group, creator, element, maker in _PRIVATE:
        if maker == "GE " and not is_epi:
            continue  # GE writes the attribute into every image, diffusion or not
        value = _number(_private(ds, group, creator, element, maker))
        if value is not None:
            return round(value / 50.0) * 50.0 if maker == "SIEMENS" and value < 50.0 else value
    return None


def _private(ds: Dataset, group: int, creator: str, element: int, maker: str) -> object:
    """A private value by its creator; where a group lost all of them, from the usual place of its maker."""
    try:
        return ds.private_block(group, creator)[element].value
    except KeyError:
        tag = Tag(group, _FIRST_BLOCK << 8 | element)
    has_creator = any(each.tag.is_private_creator for each in ds.group_dataset(group))
    if has_creator or tag not in ds or not str(ds.get("Manufacturer", "")).upper().startswith(maker):
        return None
    return ds[tag].value


def _number(value: object) -> float | None:
    """The first of several, without the bias; None of what is no b-value."""
    if isinstance(value, bytes):  # unknown to whoever wrote it, and text after all
        value = value.decode("ascii", "replace").strip("\0 ").split("\\")
    first = _several(value)[:1]
    try:
        found = float(str(first[0])) if first else -1.0
    except ValueError:
        return None
    if found >= _BIAS and found - _BIAS <= MOST:
        found -= _BIAS
    found = found % _MODULUS if found >= _MODULUS else found
    return found if 0.0 <= found <= MOST else None


def _several(value: object) -> list[object]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
