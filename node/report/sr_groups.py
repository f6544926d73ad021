"""The measurement groups of the report: one per lesion (TID 1410, 1411), one per answer (TID 1501).

Every group carries a tracking identifier and UID, which no validator demands and without which viewers fail, and every
group carries coordinates, see node/report/sr.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import highdicom.sr as hd
import numpy as np
import numpy.typing as npt
from highdicom.sr import (
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.sr.coding import Code

from models.findings import DISTANCE_LEVELS, Answer, ImageRef, Lesion, Measurement, MeasurementKind, Outline, Term
from node.report.codes import (
    ABNORMAL,
    ANSWERS,
    ASSESSMENT,
    CERTAINTY_OF_FINDING,
    COMMENT,
    KIND,
    KINDS,
    LEVELS,
    MEAN,
    MEASUREMENTS,
    NO_UNIT,
    PERCENT,
    PLACE_OF_TEXT,
    PROBABILITIES,
    PROBABILITY_OF_CANCER,
    SOURCE_OF_MEASUREMENT,
    TERMS,
    UNITS,
    finding_of,
)
from node.report.encode import ascii_text
from node.report.header import Anatomy
from node.report.subject import Subject, key_slice, surface
from node.report.words import tumour_probability

Group = (
    MeasurementsAndQualitativeEvaluations
    | PlanarROIMeasurementsAndQualitativeEvaluations
    | VolumetricROIMeasurementsAndQualitativeEvaluations
)


@dataclass(frozen=True, slots=True)
class Kinds:
    """Of tumour: how likely each is, and the one that is sure enough to be named, or none."""

    shares: Mapping[str, float]
    named: str


NO_KINDS = Kinds({}, "")
MAX_POINTS = 4000
"""A polyline lives in an element with a 16-bit length: 8191 points are the end (PS3.5 7.1.2, VR FL)."""
STUDY_LINE, IMAGE_LINE, LESIONS_LINE = 0, 1, 2
"""Which mark is whose: the answer for the study, that for an image, and that for a lesion without an outline."""
MARGIN, FIRST_MARK, NEXT_MARK = 0.02, 0.08, 0.22
"""Of a mark at the left edge, as shares of the image: its width, where the first lies, and how far apart they are."""
_SIZES = (
    MeasurementKind.VOLUME,
    MeasurementKind.DIAMETER,
    MeasurementKind.MEAN_ADC,
    MeasurementKind.LONG_AXIS,
    MeasurementKind.SHORT_AXIS,
    MeasurementKind.AREA,
)


def lesion_group(
    subject: Subject,
    lesion: Lesion,
    algorithm: hd.AlgorithmIdentification,
    segment: hd.ReferencedSegment | hd.ReferencedSegmentationFrame | None = None,
) -> Group:
    """What is said of one lesion, of its segment if one is given, else at its outline; at the border of its image when
    it has neither."""
    outlines = _drawn(subject, lesion)
    identifier, uid = subject.tracking[lesion.number]
    regions = [
        hd.ImageRegion("POLYLINE", polyline(each, subject), _image(subject, each.sop_instance_uid, each.frame))
        for each in outlines
    ]
    common: dict[str, Any] = {
        "tracking_identifier": hd.TrackingIdentifier(uid=uid, identifier=ascii_text(identifier, 64)),
        "finding_category": ABNORMAL,
        "finding_type": finding_of(lesion.answer),
        "finding_sites": sites(subject.anatomy),
        "algorithm_id": algorithm,
        "measurements": _lesion_measurements(lesion, None if regions or segment else _shown([subject], LESIONS_LINE)),
        "qualitative_evaluations": _evaluations(lesion.answer, lesion.kind),
    }
    if isinstance(segment, hd.ReferencedSegment):
        return VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **common)
    if segment is not None:
        return PlanarROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **common)
    if not regions:
        return MeasurementsAndQualitativeEvaluations(**common)
    if len(regions) == 1:
        return PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=regions[0], **common)
    return VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_regions=regions, **common)


def answer_group(
    tracking: tuple[str, str],
    answer: Answer,
    probabilities: Mapping[Answer, float],
    subjects: Sequence[Subject],
    comments: Sequence[str],
    algorithm: hd.AlgorithmIdentification,
    terms: Sequence[Term] = (),
    kinds: Kinds = NO_KINDS,
    line: int = STUDY_LINE,
    told: Sequence[tuple[Code, float, Code]] = (),
) -> Group:
    """What is said of an image or of the study, each number inferred from the whole of the images.

    Parameters
    ----------
    terms
        The voices that were weighed for the answer: their probabilities, then their weights.
    kinds
        Of tumour, and which of them is sure enough to be named.
    line
        Which of the places of an image to write at: no other group's.
    told
        Further numbers with their units, after all others.
    """
    numbers = [] if answer is Answer.NOT_ASSESSED else _percentages(probabilities, terms, kinds.shares)
    weights = [(TERMS[term.name].weight, term.weight, NO_UNIT) for term in terms if numbers]
    common: dict[str, Any] = {
        "tracking_identifier": hd.TrackingIdentifier(uid=tracking[1], identifier=ascii_text(tracking[0], 64)),
        "finding_sites": sites(subjects[0].anatomy),
        "algorithm_id": algorithm,
        "qualitative_evaluations": _evaluations(answer, kinds.named),
    }
    group: Group
    if numbers:
        group = MeasurementsAndQualitativeEvaluations(
            measurements=[
                hd.Measurement(code, value, unit, referenced_coordinates=_shown(subjects, line))
                for code, value, unit in (*numbers, *weights, *told)
            ],
            source_images=_source_images(subjects),
            **common,
        )
    else:
        subject = subjects[0]
        shown = _key_image(subject)
        region = hd.ImageRegion("POLYLINE", border(subject), _image(subject, shown.sop_instance_uid, shown.frame))
        common["measurements"] = [hd.Measurement(code, value, unit) for code, value, unit in told]
        group = PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=region, **common)
    for comment in comments:
        group[0].ContentSequence.append(hd.TextContentItem(COMMENT, ascii_text(comment), "CONTAINS"))
    return group


def _evaluations(answer: Answer, kind: str) -> list[hd.QualitativeEvaluation]:
    """The answer, and the kind of tumour where one is named."""
    told = [hd.QualitativeEvaluation(ASSESSMENT, ANSWERS[answer])]
    return [*told, hd.QualitativeEvaluation(KIND, KINDS[kind].kind)] if kind else told


def sites(anatomy: Anatomy) -> list[hd.FindingSite] | None:
    """The finding site with its side, or nothing when the region is not known."""
    return [hd.FindingSite(anatomy.region, laterality=anatomy.side)] if anatomy.region else None


def polyline(outline: Outline, subject: Subject) -> npt.NDArray[np.float32]:
    """The closed polygon with its first point repeated, inside the image, at most `MAX_POINTS` points."""
    points = outline.points
    if len(points) >= MAX_POINTS:
        points = points[np.linspace(0, len(points) - 1, MAX_POINTS - 1).round().astype(np.intp)]
    image = subject.image(outline.sop_instance_uid)
    inside = np.clip(points, 0.0, [image.Columns, image.Rows])
    return np.concatenate([inside, inside[:1]]).astype(np.float32)


def border(subject: Subject) -> npt.NDArray[np.float32]:
    """The whole image as a closed polygon, (column, row)."""
    right, bottom = float(subject.images[0].Columns), float(subject.images[0].Rows)
    return np.array([[0, 0], [right, 0], [right, bottom], [0, bottom], [0, 0]], dtype=np.float32)


def _drawn(subject: Subject, lesion: Lesion) -> tuple[Outline, ...]:
    """The outlines to report: a radiograph's largest (TID 1410 knows one region), all of a volume's.

    The largest of a volume comes first: OHIF draws the first region of a group alone, and opens the report there.
    """
    usable = tuple(each for each in lesion.outlines if len(each.points) >= 3)
    if len(usable) < 2:
        return usable
    largest = max(usable, key=lambda each: surface(each.points))
    return (largest,) if subject.is_projection else (largest, *(each for each in usable if each is not largest))


def _image(subject: Subject, sop_instance_uid: str, frame: int | None) -> hd.SourceImageForRegion:
    return hd.SourceImageForRegion(
        referenced_sop_class_uid=str(subject.image(sop_instance_uid).SOPClassUID),
        referenced_sop_instance_uid=sop_instance_uid,
        referenced_frame_numbers=None if frame is None else [frame],
    )


def _key_image(subject: Subject) -> ImageRef:
    return subject.findings.images[key_slice(subject.findings)]


def mark(subject: Subject, line: int) -> npt.NDArray[np.float32]:
    """A small closed polygon at the left edge of an image, (column, row), beside which a viewer may write.

    OHIF writes a group's numbers at the right of its first region, halfway down. At the right of the whole image they
    are cut off by the end of the viewport, and those of two groups lie upon each other.
    """
    image = subject.images[0]
    right, top = MARGIN * image.Columns, (FIRST_MARK + line * NEXT_MARK) * image.Rows
    bottom = top + MARGIN * image.Rows
    return np.array([[0, top], [right, top], [right, bottom], [0, bottom], [0, top]], dtype=np.float32)


def _shown(subjects: Sequence[Subject], line: int) -> list[hd.CoordinatesForMeasurement]:
    """Where a number that is no lesion's may be written, and what it was measured on: the whole of the images."""
    return [
        hd.CoordinatesForMeasurement(
            "POLYLINE", points, _image(subject, image.sop_instance_uid, image.frame), purpose=purpose
        )
        for subject in subjects
        for image in (_key_image(subject),)
        for points, purpose in ((mark(subject, line), PLACE_OF_TEXT), (border(subject), SOURCE_OF_MEASUREMENT))
    ]


def _source_images(subjects: Sequence[Subject]) -> list[hd.SourceImageForMeasurementGroup]:
    return [
        hd.SourceImageForMeasurementGroup(str(image.SOPClassUID), str(image.SOPInstanceUID))
        for subject in subjects
        for image in subject.images
    ]


def _lesion_measurements(
    lesion: Lesion, regions: Sequence[hd.CoordinatesForMeasurement] | None
) -> list[hd.Measurement]:
    """Probabilities first, then sizes, those that matter most first: OHIF prints five lines. Kinds that it is less
    likely to be come last."""
    numbers: list[tuple[Code, float]] = []
    if lesion.malignant_probability is not None:
        numbers.append((PROBABILITY_OF_CANCER, lesion.malignant_probability))
    numbers.append((CERTAINTY_OF_FINDING, lesion.probability))
    if lesion.kind:
        numbers.append((KINDS[lesion.kind].probability, lesion.kinds[lesion.kind]))
    found = [
        hd.Measurement(code, percentage(value), PERCENT, referenced_coordinates=regions) for code, value in numbers
    ]
    ordered = sorted(lesion.measurements, key=lambda each: _SIZES.index(each.kind))
    others = [
        hd.Measurement(KINDS[kind].probability, percentage(share), PERCENT, referenced_coordinates=regions)
        for kind, share in lesion.kinds.items()
        if kind != lesion.kind
    ]
    levels = dict(zip(DISTANCE_LEVELS, lesion.levels, strict=True)) if lesion.levels else {}
    others += [
        hd.Measurement(LEVELS[level], percentage(levels[level]), PERCENT, referenced_coordinates=regions)
        for level in LEVELS
        if levels
    ]
    return [*found, *(_size(each, regions) for each in ordered), *others]


def _size(measurement: Measurement, regions: Sequence[hd.CoordinatesForMeasurement] | None) -> hd.Measurement:
    return hd.Measurement(
        MEASUREMENTS[measurement.kind],
        _rounded(measurement.value),
        UNITS[measurement.unit],
        derivation=MEAN if measurement.kind is MeasurementKind.MEAN_ADC else None,
        referenced_coordinates=regions,
    )


def _percentages(
    probabilities: Mapping[Answer, float], terms: Sequence[Term], kinds: Mapping[str, float]
) -> list[tuple[Code, float, Code]]:
    voices = [
        (TERMS[term.name].probability, term.malignant_probability)
        for term in terms
        if term.malignant_probability is not None
    ]
    shares = [(KINDS[kind].probability, share) for kind, share in kinds.items()]
    return [(code, percentage(value), PERCENT) for code, value in (*_probabilities(probabilities), *shares, *voices)]


def _probabilities(probabilities: Mapping[Answer, float]) -> list[tuple[Code, float]]:
    """Malignant first, then any tumour, then the rest."""
    found: list[tuple[Code, float]] = []
    if Answer.MALIGNANT in probabilities:
        found.append((PROBABILITY_OF_CANCER, probabilities[Answer.MALIGNANT]))
    if Answer.NORMAL in probabilities:
        found.append((CERTAINTY_OF_FINDING, tumour_probability(probabilities)))
    rest = (Answer.BENIGN, Answer.NORMAL, Answer.UNDECIDED)
    return found + [(PROBABILITIES[answer], probabilities[answer]) for answer in rest if answer in probabilities]


def percentage(probability: float) -> float:
    """To a tenth of a percent within 0..100: no calibration knows more, and 9.5e-75 only frightens."""
    return round(100.0 * min(1.0, max(0.0, probability)), 1)


def _rounded(value: float) -> float:
    """Five significant digits: finer than any of these numbers is known, coarser than noise."""
    return float(f"{value:.5g}")
