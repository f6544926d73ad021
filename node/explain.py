"""A decision for people and for programs: what the headers say, what was decided and why. Pure.

Holds no UID, no name and no text of a header, so that it can be shown, logged and mailed.
"""

from collections.abc import Iterator, Sequence

from node.facts.describe import image_name, image_number, series_name, stack_words, what_it_is
from node.facts.kinds import XRAY
from node.facts.xray import View
from node.headers import ImageFacts
from node.route import Decision
from node.series import SeriesFacts

_SIDES = {"L": "left", "R": "right", "B": "both sides", "U": "unpaired"}


def as_text(series: Sequence[SeriesFacts], decision: Decision) -> str:
    """For `osteon explain`: the decision, then what was understood of each radiograph and each stack of slices."""
    return "\n".join((*_decided(decision), "", *_understood(series)))


def as_dict(series: Sequence[SeriesFacts], decision: Decision) -> dict[str, object]:
    """The same for `--json`; every value can be written as JSON."""
    chosen = decision.chosen
    used = {uid for answer in decision.answers for uid in answer.images}
    return {
        "model": chosen.card.name if chosen else None,
        "version": chosen.card.version if chosen else None,
        "models": [answer.card.label for answer in decision.answers],
        "outcome": decision.outcome.value if decision.outcome else None,
        "summary": decision.summary,
        "explanation": list(decision.explanation),
        "series": [_series_dict(one, used) for one in series],
    }


def _decided(decision: Decision) -> Iterator[str]:
    code = f" [{decision.outcome.value}]" if decision.outcome else ""
    yield f"{decision.summary}{code}"
    told = _repeated(decision)
    for sentence in decision.explanation[1:]:
        if sentence != told:
            yield f"  {sentence}"


def _repeated(decision: Decision) -> str | None:
    """The only sentence about series, where it says no more than why no model answers, which the first line says."""
    sentences = [sentence for verdict in decision.series for sentence in verdict.sentences]
    reason = decision.summary.partition(": ")[2].removesuffix(".")
    if decision.chosen or len(sentences) != 1 or not sentences[0].endswith(f": {reason}, not used."):
        return None
    return sentences[0]


def _understood(series: Sequence[SeriesFacts]) -> Iterator[str]:
    yield "What the headers say:"
    for one in series:
        count = len(one.images)
        yield f"  {series_name(one)}: {count} object{'s' if count != 1 else ''}"
        for stack in one.stacks:
            fault = f" ({stack.fault})" if stack.fault else ""
            yield f"    {stack_words(stack)}{fault}"
        for place, image in enumerate(one.images):
            if image.mr is None:
                yield f"    {image_name(image, place)}: {_image_words(image)}"


def _image_words(image: ImageFacts) -> str:
    """One radiograph, or anything that is no MR, with where each answer was read."""
    pixels = image.pixels
    parts = [what_it_is(image)]
    if pixels.rows or pixels.columns:
        parts.append(f"{pixels.columns} x {pixels.rows}, {pixels.bits_stored} bit {_plain(pixels.photometric)}")
    if image.body_part.source:
        parts.append(f"body part from {image.body_part.source}")
    if image.xray and image.xray.view is not View.UNKNOWN:
        parts.append(f"view from {image.xray.view_source}")
    if image.kind in XRAY:
        parts.append(_spacing_words(image))
    return "; ".join(parts)


def _spacing_words(image: ImageFacts) -> str:
    spacing = image.spacing
    for name, pair in (
        ("PixelSpacing", spacing.pixel_mm),
        ("ImagerPixelSpacing", spacing.imager_mm),
        ("NominalScannedPixelSpacing", spacing.nominal_scanned_mm),
    ):
        if pair:
            return f"{pair[0]:.4g} x {pair[1]:.4g} mm from {name}"
    return "no spacing, sizes in pixels"


def _plain(photometric: str) -> str:
    """The photometric interpretation if it is one of DICOM's; a sender may have written anything."""
    return photometric if photometric in ("MONOCHROME1", "MONOCHROME2", "RGB", "PALETTE COLOR") else "not grey"


def _series_dict(series: SeriesFacts, used: set[str]) -> dict[str, object]:
    return {
        "number": series.number,
        "localizer": series.localizer or None,
        "stacks": [
            {
                "words": stack_words(stack),
                "weighting": stack.weighting.value,
                "plane": stack.plane.value,
                "b_value": stack.b_value,
                "directions": stack.directions or None,
                "slices": stack.slices,
                "spacing_mm": stack.spacing_mm,
                "fault": stack.fault or None,
            }
            for stack in series.stacks
        ],
        "images": [_image_dict(image, used) for image in series.images],
        "notes": list(series.notes),
    }


def _image_dict(image: ImageFacts, used: set[str]) -> dict[str, object]:
    found: dict[str, object] = {
        "number": image_number(image),
        "used": image.sop_instance_uid in used,
        "kind": image.kind.value,
        "rows": image.pixels.rows,
        "columns": image.pixels.columns,
        "frames": image.pixels.frames,
        "bits": image.pixels.bits_stored,
        "body_part": [region.value for region in image.body_part.regions],
        "body_part_source": image.body_part.source or None,
        "side": _SIDES.get(image.laterality),
        "localizer": image.localizer or None,
        "derived": image.derived or None,
        "burned_in": image.is_burned_in,
        "own_result": image.is_own_result,
    }
    if image.xray:
        found |= {
            "view": image.xray.view.value,
            "view_source": image.xray.view_source or None,
            "pixel_spacing_mm": image.spacing.pixel_mm,
            "imager_pixel_spacing_mm": image.spacing.imager_mm,
        }
    if image.mr:
        found |= {
            "weighting": image.mr.weighting.value,
            "weighting_source": image.mr.weighting_source or None,
            "fat_suppression": image.mr.fat_suppression.value,
            "contrast_agent": image.mr.has_contrast,
            "b_value": image.mr.diffusion.b_value,
            "plane": image.geometry.plane.value,
            "oblique": image.geometry.is_oblique,
        }
    return found
