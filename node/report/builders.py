"""Which function makes each kind of result object. A new kind is added here, and in node/report/kind.py."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from pydicom.dataset import Dataset

from node.report.adc import adc_images
from node.report.encode import EncodedObject
from node.report.envelope import Envelope
from node.report.gsps import presentation_state
from node.report.header import numbers
from node.report.kind import Kind
from node.report.kos import key_images
from node.report.map import level_map, level_parts, probability_map
from node.report.parts import Builder, Making, Part, of_source, of_study
from node.report.pdf import summary_page
from node.report.profile import MapType
from node.report.request import AdcSeries
from node.report.sc import planes_to_show, secondary_capture
from node.report.seg import encoding_of, parts, segmentation, segmentation_name
from node.report.segment_sr import referenced_segments
from node.report.sr import report
from node.report.subject import Subject
from node.report.words import headline


def segmentations(making: Making) -> Iterator[Part]:
    """One per source as a rule; see `seg.parts`."""
    model, profile = making.findings.model, making.request.profile
    for each in making.subjects:
        encoding = encoding_of(each, profile.segmentation)
        for lesions in parts(each, encoding):
            name = segmentation_name(each, lesions)
            build = partial(segmentation, each, lesions, model, replace(profile, segmentation=encoding))
            yield of_source(each, name, build, f"lesion {lesions[0].number}" if name else "")


def adc_maps(making: Making) -> Iterator[Part]:
    """One series per source whose ADC map was computed here."""
    for each in making.subjects:
        if each.source.adc is not None:
            yield Part(each.key, each.key, partial(_adc_map, each, each.source.adc))


def maps(making: Making) -> Iterator[Part]:
    """One per source whose findings hold a map, and of a radiograph its distance levels."""
    model, profile = making.findings.model, making.request.profile
    is_fractional = profile.map is MapType.FRACTIONAL
    for each in making.subjects:
        build = partial(probability_map, each, model, is_fractional, profile.nominal_plane)
        yield of_source(each, "", build)
        for levels in level_parts(each):
            name = f"#level{levels[0]}"
            build_levels = partial(level_map, each, levels, model, profile.nominal_plane)
            yield of_source(each, name, build_levels, "distance" if len(levels) > 1 else f"distance {levels[0]}")


def presentation_states(making: Making) -> Iterator[Part]:
    """One per source."""
    for each in making.subjects:
        yield of_source(each, "", partial(presentation_state, each, making.findings.model))


def secondary_captures(making: Making) -> Iterator[Part]:
    """One per plane that is shown of a source."""
    for each in making.subjects:
        planes = planes_to_show(each)
        for number, plane in enumerate(planes):
            name = f"#{plane}" if number else ""
            build = partial(secondary_capture, each, plane, making.findings.model)
            yield of_source(each, name, build, _slice(each, plane) if len(planes) > 1 else "")


def summaries(making: Making) -> Iterator[Part]:
    """One page for the study."""
    yield of_study(making, lambda cover: summary_page(making.findings, making.subjects, cover, making.request))


def key_selections(making: Making) -> Iterator[Part]:
    """One for the study, where anything was outlined."""
    findings = making.findings
    said = headline(findings.answer, findings.probabilities, findings.kind)
    yield of_study(making, lambda cover: key_images(making.subjects, making.others, said, cover))


def segment_reports(making: Making) -> Iterator[Part]:
    """The second report of the study, where it has a segment to speak of."""
    segments = referenced_segments(making)
    if segments:

        def build(cover: Envelope) -> Dataset:
            return report(making.findings, making.subjects, making.others, cover, making.request, segments)

        yield of_study(making, build)


def reports(making: Making) -> Iterator[Part]:
    """The report of the study, which names what this profile gets with it."""

    def build(cover: Envelope) -> Dataset:
        return report(making.findings, making.subjects, making.others, cover, making.request)

    yield of_study(making, build)


BUILDERS: dict[Kind, Builder] = {
    Kind.SEG: segmentations,
    Kind.MAP: maps,
    Kind.ADC: adc_maps,
    Kind.GSPS: presentation_states,
    Kind.SC: secondary_captures,
    Kind.PDF: summaries,
    Kind.KOS: key_selections,
    Kind.SEGMENT_SR: segment_reports,
    Kind.SR: reports,
}
"""A kind that is missing here is made for nobody."""


def _slice(subject: Subject, plane: int) -> str:
    """Which plane of a source, as viewers number it."""
    shown = subject.findings.images[plane]
    number = numbers(subject.headers[shown.sop_instance_uid], "InstanceNumber")
    return f"frame {shown.frame}" if shown.frame is not None else f"I{number[0]:.0f}" if len(number) == 1 else ""


def _adc_map(subject: Subject, adc: AdcSeries, cover: Envelope) -> list[EncodedObject]:
    return list(adc_images(subject, adc, cover))
