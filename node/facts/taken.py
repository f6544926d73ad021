"""How an image was taken beside what weights it for diffusion: what is averaged must not differ in it."""

from collections.abc import Iterator, Sequence

from node.facts.values import Reader

Taken = tuple[str | tuple[str, ...] | float | None, ...]

_TERMS = (
    ("ImageType", ""),
    ("FrameType", "MRImageFrameTypeSequence"),
    ("ComplexImageComponent", "MRImageFrameTypeSequence"),
    ("InPlanePhaseEncodingDirection", "MRFOVGeometrySequence"),
)
_NUMBERS = (
    ("EchoTime", ""),
    ("EffectiveEchoTime", "MREchoSequence"),
    ("RepetitionTime", "MRTimingAndRelatedParametersSequence"),
)


def how_taken(places: Sequence[Reader]) -> Taken:
    """Type (magnitude or phase), echo and repetition time, and the direction of phase encoding.

    Parameters
    ----------
    places
        Where attributes may stand, the first that has one wins: an image, or a frame's own functional groups and the
        shared ones (PS3.3 C.8.13.5).
    """
    terms = (_first(places, keyword, macro) for keyword, macro in _TERMS)
    numbers = (_first(places, keyword, macro) for keyword, macro in _NUMBERS)
    return (
        *(found.terms(keyword) if found else () for found, (keyword, _) in zip(terms, _TERMS, strict=True)),
        *(found.number(keyword) if found else None for found, (keyword, _) in zip(numbers, _NUMBERS, strict=True)),
    )


def _first(places: Sequence[Reader], keyword: str, macro: str) -> Reader | None:
    return next((holder for holder in _holders(places, macro) if holder.has(keyword)), None)


def _holders(places: Sequence[Reader], macro: str) -> Iterator[Reader]:
    for place in places:
        yield place
        if macro and (item := place.item(macro)):
            yield item
