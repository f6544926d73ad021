"""Findings in, result objects out: which are made, in which order, under which names.

Pure: no clock, no disk, no network; the same call gives the same bytes. SEG, GSPS and SC come only where something was
found; the SR always, last, naming the others. "Normal" is an SR that says so and nothing else, but for the ADC map of
a source that has one, whatever is on it.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from highdicom.sc import SCImage
from pydicom.dataset import Dataset

from models.findings import Answer, Findings
from node.identity import MANUFACTURER, fingerprint, uid_of
from node.report.adc import adc_images
from node.report.encode import EncodedObject, result_of
from node.report.envelope import Envelope, envelope
from node.report.gsps import presentation_state
from node.report.request import Kind, Request, Source
from node.report.sc import planes_to_show, secondary_capture
from node.report.seg import parts, segmentation
from node.report.sr import report
from node.report.subject import Subject, subject
from node.report.words import headline

Builder = Callable[[Envelope], Dataset | None]


def objects(findings: Findings, sources: Sequence[Source], request: Request) -> tuple[EncodedObject, ...]:
    """The result objects of one run, in the order in which they must be sent: SEG, ADC, GSPS, SC, SR.

    Parameters
    ----------
    sources
        One per `findings.sources`, in the same order.

    Returns
    -------
    Empty when nothing was assessed and the profile asks for no report of that.

    Raises
    ------
    ValueError
        When findings and sources do not belong together.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Invalid value for VR UI")  # the source's UIDs are repeated as they are
        return _objects(findings, sources, request)


def _objects(findings: Findings, sources: Sequence[Source], request: Request) -> tuple[EncodedObject, ...]:
    run_hash = run_hash_of(findings, sources, request)
    study = headline(findings.answer, findings.probabilities, findings.kind) if len(findings.sources) > 1 else ""
    subjects = [
        subject(found, source, findings.model, run_hash, request, study)
        for found, source in zip(findings.sources, sources, strict=True)
    ]
    if not subjects:
        raise ValueError("findings without a source")
    if findings.answer is Answer.NOT_ASSESSED and not request.profile.report_not_assessed:
        return ()
    made: list[EncodedObject] = []
    for kind in (Kind.SEG, Kind.ADC, Kind.GSPS, Kind.SC):
        for each in subjects:
            if kind is Kind.ADC and kind in kinds_for(request):
                made += _adc_map(each, request.first_order + len(made), run_hash, findings, request)
            elif kind in kinds_for(request):
                for part, build in _builders(kind, each, findings, request):
                    cover = envelope(
                        kind, request.first_order + len(made), each.key + part, run_hash, findings.model, request
                    )
                    ds = build(cover)
                    if ds is not None:
                        made.append(result_of(kind, cover.order, ds, each.carried))
    if Kind.SR in kinds_for(request):
        cover = envelope(Kind.SR, request.first_order + len(made), "", run_hash, findings.model, request)
        ds = report(findings, subjects, made, cover, request)
        made.append(result_of(Kind.SR, cover.order, ds, subjects[0].carried))
    return tuple(made)


def _adc_map(each: Subject, order: int, run_hash: str, findings: Findings, request: Request) -> list[EncodedObject]:
    """The images of the ADC map of one source, in one series; nothing where it has none."""
    if each.source.adc is None:
        return []
    series = envelope(Kind.ADC, order, each.key, run_hash, findings.model, request)
    return list(adc_images(each, each.source.adc, series))


def run_hash_of(findings: Findings, sources: Sequence[Source], request: Request) -> str:
    """The fingerprint of a run: study, images used, weights and settings."""
    study = next((str(ds.StudyInstanceUID) for source in sources for ds in source.datasets), "")
    inputs = [image.sop_instance_uid for found in findings.sources for image in found.images]
    return fingerprint(study, inputs, findings.model.weights_sha256, request.config)


def kinds_for(request: Request) -> frozenset[Kind]:
    """What the profile wants."""
    return frozenset(Kind) if request.profile.kinds is None else request.profile.kinds


def warm_up() -> None:
    """Let highdicom load its tables of the standard, half a second and 65 MB, before the first study waits for them."""
    SCImage(
        pixel_array=np.zeros((1, 1), dtype=np.uint8),
        photometric_interpretation="MONOCHROME2",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),
        study_instance_uid=uid_of("warm up"),
        series_instance_uid=uid_of("warm up"),
        series_number=1,
        sop_instance_uid=uid_of("warm up"),
        instance_number=1,
        manufacturer=MANUFACTURER,
    )


def _builders(kind: Kind, each: Subject, findings: Findings, request: Request) -> Iterator[tuple[str, Builder]]:
    """What to build of one kind for one source: a name for the part, empty when there is but one, and how."""
    model = findings.model
    if kind is Kind.GSPS:
        yield "", lambda cover: presentation_state(each, model, cover)
    elif kind is Kind.SC:
        for number, plane in enumerate(planes_to_show(each)):
            yield f"#{plane}" if number else "", partial(secondary_capture, each, plane, model)
    else:
        for lesions in parts(each):
            name = "" if lesions == each.lesions else f"#{lesions[0].number}"
            yield name, partial(segmentation, each, lesions, model, request.profile.nominal_plane)
