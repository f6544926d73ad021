"""One study, in the analysing child process: read it, decide which model answers, run it, encode what it found.

The only place where received images are decoded. Results are on stable storage when `analyse` returns; the worker
records them. No database, no network, no clock here: what a result is dated comes with the job.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from models import card, images, knee, spacing
from models.errors import ImageError, ModelsError
from models.findings import Answer, Findings, ImageRef
from models.session import Device, SessionOptions
from node.cards import card_facts
from node.facts.regions import Region
from node.headers import Header, ImageFacts, facts_of, read_header
from node.identity import fingerprint
from node.job import Analysis, Job, Setup
from node.report.encode import EncodedObject
from node.report.objects import objects, warm_up
from node.report.request import DocumentRef, Request, Source
from node.route import Chosen, route
from node.series import series_of
from storage import journal
from storage.errors import DiskFull, StorageError
from storage.files import ResultStore
from storage.results import ResultFile
from storage.states import Outcome
from storage.studies import Instance

log = logging.getLogger(__name__)

_TERMS = {  # where Body Part Examined (PS3.16 Annex L) has another word than our region
    Region.LIMB: "EXTREMITY", Region.UPPER_LIMB: "EXTREMITY", Region.LOWER_LIMB: "EXTREMITY",
    Region.UPPER_ARM: "ARM", Region.LOWER_LEG: "LEG", Region.SACROILIAC_JOINT: "SIJOINT", Region.SACRUM: "SSPINE",
    Region.CERVICAL_SPINE: "CSPINE", Region.THORACIC_SPINE: "TSPINE", Region.LUMBAR_SPINE: "LSPINE",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Read:
    """One image of the study: where it lies, its header, and what the header says."""

    instance: Instance
    header: Header
    facts: ImageFacts


def open_desk(setup: Setup) -> "Desk":
    """Load every sound bundle; a damaged one is refused and named, and the others work."""
    shelf = card.bundles(Path(setup.models_folder))
    options = SessionOptions(device=Device(setup.provider), threads=setup.threads)
    systems: dict[str, knee.Knee] = {}
    told = [f"model refused: {damaged.reason}" for damaged in shelf.damaged]
    for bundle in shelf.sound:
        if bundle.card.stage is card.Stage.RETIRED:
            told.append(f"model {bundle.card.name} {bundle.card.version} is retired and not loaded")
            continue
        try:
            loaded = knee.load(bundle, options)
            loaded.warm_up()
        except ModelsError as exc:
            told.append(f"model refused: {exc}")
            continue
        systems[card_facts(bundle.card).label] = loaded
        told.append(f"model {bundle.card.name} {bundle.card.version} is ready on {loaded.identity.provider}")
    warm_up()
    return Desk(setup, systems, tuple(told))


class Desk:
    """The loaded models and where images and results lie."""

    def __init__(self, setup: Setup, systems: Mapping[str, knee.Knee], loaded: tuple[str, ...]) -> None:
        self.loaded = loaded
        self._setup = setup
        self._systems = systems
        self._cards = [card_facts(system.card) for system in systems.values()]
        self._journal = Path(setup.journal_folder)
        self._store = ResultStore(Path(setup.results_folder))

    def analyse(self, job: Job) -> Analysis:
        """Bring one study to an outcome; whatever it holds, an `Analysis` comes back."""
        try:
            return self._analyse(job)
        except DiskFull as exc:
            return Analysis(Outcome.FAILED_RESOURCE, (str(exc),), postponed=True)
        except StorageError as exc:
            return Analysis(Outcome.FAILED_RESOURCE, (str(exc),))
        except ModelsError as exc:
            return Analysis(Outcome(exc.outcome), (str(exc),))
        except MemoryError:
            words = "The analysis needed more memory than work.memory_limit_mb allows. Raise it, then retry."
            return Analysis(Outcome.FAILED_RESOURCE, (words,))
        except Exception as exc:  # a fault of ours must end in a state that a person sees, not in a dead worker
            log.exception("study %d: its analysis failed in a way that is not foreseen", job.study_id)
            words = f"The analysis failed with {type(exc).__name__}. This is a fault of Osteon; its log says more."
            return Analysis(Outcome.FAILED_MODEL, (words,))

    def _analyse(self, job: Job) -> Analysis:
        started = time.perf_counter()
        read = {each.facts.sop_instance_uid: each for each in map(self._read, job.instances)}
        decision = route(series_of(each.facts for each in read.values()), self._cards)
        read_s = time.perf_counter() - started
        if decision.chosen is None:
            return Analysis(decision.outcome or Outcome.FAILED_MODEL, decision.explanation, timings_s={"read": read_s})
        system = self._systems[decision.chosen.card.label]
        inputs = fingerprint(job.study_instance_uid, decision.chosen.images, system.identity.weights_sha256)
        base = _named(Analysis(Outcome.OK_NORMAL, decision.explanation, fingerprint=inputs), system)
        if inputs == job.last_fingerprint and not job.forced:
            return replace(base, unchanged=True)
        return self._answered(job, base, decision.chosen, system, read, {"read": read_s})

    def _answered(
        self,
        job: Job,
        base: Analysis,
        chosen: Chosen,
        system: knee.Knee,
        read: Mapping[str, _Read],
        timings: dict[str, float],
    ) -> Analysis:
        """Decode, infer, report, store."""
        started = time.perf_counter()
        decoded, left_out = self._decoded([read[uid] for uid in chosen.images])
        timings["decode"] = time.perf_counter() - started
        if not decoded:
            return replace(base, outcome=left_out[0].outcome, explanation=(*base.explanation, *_words(left_out)))
        findings = system.answer(decoded)
        timings |= findings.timings_s
        started = time.perf_counter()
        sources = [_source(read[image.ref.sop_instance_uid], image) for image in decoded]
        encoded = objects(findings, sources, self._request(job))
        timings["report"] = time.perf_counter() - started
        started = time.perf_counter()
        results = tuple(self._kept(each) for each in encoded)
        timings["store"] = time.perf_counter() - started
        return replace(
            base,
            outcome=_outcome(findings),
            explanation=(*base.explanation, *_words(left_out), *_said(findings)),
            answer=findings.answer.value,
            probabilities={answer.value: round(p, 4) for answer, p in findings.probabilities.items()},
            timings_s=timings,
            results=results,
        )

    def _read(self, instance: Instance) -> _Read:
        header = read_header(journal.read(self._journal, instance.place), instance.transfer_syntax_uid)
        return _Read(instance, header, facts_of(header, instance.patient_key))

    def _decoded(self, wanted: list[_Read]) -> tuple[list[knee.KneeImage], list["_LeftOut"]]:
        """The pixels of each image; one that cannot be decoded is left out and named, it does not sink the others."""
        decoded, left_out = [], []
        for number, each in enumerate(wanted, 1):
            data = journal.read(self._journal, each.instance.place)
            try:
                radiograph = images.radiograph_from_bytes(data, each.instance.transfer_syntax_uid)
            except ImageError as exc:
                left_out.append(_LeftOut(number, Outcome(exc.outcome), str(exc)))
                continue
            ruler = spacing.ruler(each.header.dataset)
            ref = ImageRef(each.facts.sop_instance_uid)
            decoded.append(knee.KneeImage(ref, each.facts.series_instance_uid, radiograph, ruler.spacing, ruler.notes))
        return decoded, left_out

    def _request(self, job: Job) -> Request:
        previous = tuple(
            DocumentRef(job.study_instance_uid, file.series_instance_uid, file.sop_class_uid, file.sop_instance_uid)
            for file in job.former_results
            if file.kind == "sr"
        )
        return Request(
            now=datetime.fromtimestamp(job.dated_at).astimezone(),
            run=job.version,
            installation=self._setup.installation,
            previous=previous,
        )

    def _kept(self, result: EncodedObject) -> ResultFile:
        path, sha256 = self._store.put(result.data)
        return ResultFile(
            kind=result.kind.value,
            order=result.order,
            sop_class_uid=result.sop_class_uid,
            sop_instance_uid=result.sop_instance_uid,
            series_instance_uid=result.series_instance_uid,
            transfer_syntax_uid=result.transfer_syntax_uid,
            path=path,
            size=len(result.data),
            sha256=sha256,
        )


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """An image that could not be decoded."""

    number: int
    outcome: Outcome
    reason: str


def _words(left_out: list[_LeftOut]) -> tuple[str, ...]:
    return tuple(f"Image {each.number} is left out: {each.reason}" for each in left_out)


def _named(analysis: Analysis, system: knee.Knee) -> Analysis:
    identity = system.identity
    return replace(
        analysis,
        model_name=identity.name,
        model_version=identity.version,
        weights_sha256=identity.weights_sha256,
        provider=identity.provider,
    )


def _outcome(findings: Findings) -> Outcome:
    """Only a model that looked and saw nothing gives OK_NORMAL."""
    if findings.answer is Answer.NORMAL:
        return Outcome.OK_NORMAL
    if findings.answer is Answer.NOT_ASSESSED:
        return Outcome.REJECTED_GEOMETRY
    return Outcome.OK_FINDINGS


def _said(findings: Findings) -> tuple[str, ...]:
    """The answer in a sentence, and what must be known with it."""
    lesions = sum(len(source.lesions) for source in findings.sources)
    shares = ", ".join(f"{answer.value} {100 * p:.0f} %" for answer, p in findings.probabilities.items())
    regions = f"{lesions} region{'' if lesions == 1 else 's'} outlined"
    sentence = f"The answer is {findings.answer.value.replace('_', ' ')} ({shares or 'no probabilities'}); {regions}."
    notes = dict.fromkeys(note for source in findings.sources for note in source.notes)
    return (sentence, *notes)


def _source(read: _Read, image: knee.KneeImage) -> Source:
    regions = read.facts.body_part.regions
    term = _TERMS.get(regions[0], regions[0].value.upper()) if len(regions) == 1 else ""
    return Source(
        datasets=(read.header.dataset,),
        display=image.radiograph.display,
        body_part=term,
        laterality=read.facts.laterality,
    )
