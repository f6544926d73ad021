"""Findings in, result objects out: which are made, in which order, under which names.

Pure: no clock, no disk, no network; the same call gives the same bytes. SEG, GSPS and SC come only where something was
found; the SR always, last, naming the others. "Normal" is an SR that says so and nothing else.
"""

import warnings
from collections.abc import Callable, Sequence

from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map, get_sop_class_iod_map
from pydicom.dataset import Dataset

from models.findings import Answer, Findings
from node.identity import fingerprint
from node.report.encode import EncodedObject, result_of
from node.report.envelope import Envelope, envelope
from node.report.gsps import presentation_state
from node.report.request import MR_KINDS, X_RAY_KINDS, Kind, Request, Source
from node.report.sc import secondary_capture
from node.report.seg import segmentation
from node.report.sr import report
from node.report.subject import Subject, subject


def objects(findings: Findings, sources: Sequence[Source], request: Request) -> tuple[EncodedObject, ...]:
    """The result objects of one run, in the order in which they must be sent: SEG, GSPS, SC, SR.

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
    subjects = [
        subject(found, source, findings.model, run_hash, request)
        for found, source in zip(findings.sources, sources, strict=True)
    ]
    if not subjects:
        raise ValueError("findings without a source")
    if findings.answer is Answer.NOT_ASSESSED and not request.profile.report_not_assessed:
        return ()
    made: list[EncodedObject] = []
    for kind in (Kind.SEG, Kind.GSPS, Kind.SC):
        for each in subjects:
            if kind in kinds_for(each, request):
                cover = envelope(kind, len(made), each.key, run_hash, findings.model, request)
                ds = _built(kind, each, findings, cover, request)
                if ds is not None:
                    made.append(result_of(kind, cover.order, ds, each.carried))
    if any(Kind.SR in kinds_for(each, request) for each in subjects):
        cover = envelope(Kind.SR, len(made), "", run_hash, findings.model, request)
        made.append(
            result_of(Kind.SR, cover.order, report(findings, subjects, made, cover, request), subjects[0].carried)
        )
    return tuple(made)


def run_hash_of(findings: Findings, sources: Sequence[Source], request: Request) -> str:
    """The fingerprint of a run: study, images used, weights and settings."""
    study = next((str(ds.StudyInstanceUID) for source in sources for ds in source.datasets), "")
    inputs = [image.sop_instance_uid for found in findings.sources for image in found.images]
    return fingerprint(study, inputs, findings.model.weights_sha256, request.config)


def kinds_for(each: Subject, request: Request) -> frozenset[Kind]:
    """What the profile wants for one source."""
    return request.profile.kinds or (X_RAY_KINDS if each.is_projection else MR_KINDS)


def warm_up() -> None:
    """Load highdicom's tables of the standard, about half a second and 65 MB, before the first study waits for them."""
    get_sop_class_iod_map()
    get_iod_module_map()
    get_module_attribute_map()


def _built(kind: Kind, each: Subject, findings: Findings, cover: Envelope, request: Request) -> Dataset | None:
    builders: dict[Kind, Callable[[], Dataset | None]] = {
        Kind.SEG: lambda: segmentation(each, findings.model, cover, request.profile.nominal_plane),
        Kind.GSPS: lambda: presentation_state(each, findings.model, cover),
        Kind.SC: lambda: secondary_capture(each, findings.model, cover),
    }
    return builders[kind]()
