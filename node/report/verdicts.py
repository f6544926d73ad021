"""What a coded statement about a result means: accepted, modified or rejected.

IHE's profile for this, AI Result Assessment (AIRA), could not be obtained when this was written; what is known of it is
that a person accepts, rejects or corrects single results and that they are named by their tracking identifiers. So the
codes of the standard that say as much are known here, and those of a product are named in the configuration.
"""

from collections.abc import Mapping

from storage.returned import Judgement

Code = tuple[str, str]
"""Coding scheme designator and code value."""

REJECTIONS: frozenset[Code] = frozenset(("DCM", value) for value in ("113001", "113037", "113038", "113039"))
"""Titles of a rejection note: quality, patient safety, wrong worklist entry, retention expired (CID 7011)."""

STANDARD: Mapping[Code, Judgement] = {
    ("DCM", "122775"): Judgement.ACCEPTED,  # Agreement with prior findings, CID 3217
    ("DCM", "122776"): Judgement.REJECTED,  # Disagreement with prior findings, CID 3217
    **dict.fromkeys(REJECTIONS, Judgement.REJECTED),
}


def known_codes(accepted: str, modified: str, rejected: str) -> dict[Code, Judgement]:
    """The codes of the standard and those that the configuration names.

    Parameters
    ----------
    accepted, modified, rejected
        Codes as `SCHEME:VALUE`, with spaces between them.
    """
    known = dict(STANDARD)
    named = (accepted, Judgement.ACCEPTED), (modified, Judgement.MODIFIED), (rejected, Judgement.REJECTED)
    for text, judgement in named:
        for each in text.split():
            scheme, _, value = each.partition(":")
            known[scheme, value] = judgement
    return known


def worst_of(codes: list[Code], known: Mapping[Code, Judgement]) -> Judgement | None:
    """What codes together say; of several that contradict each other the one that trusts the result least."""
    said = {known[code] for code in codes if code in known}
    order = (Judgement.REJECTED, Judgement.MODIFIED, Judgement.ACCEPTED)
    return next((judgement for judgement in order if judgement in said), None)
