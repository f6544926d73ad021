"""One study, in the analysing child process: read it, decide which model answers, run it, encode what it found.

The only place where received images are decoded. Results are on stable storage when `analyse` returns; the worker
records them. No database, no network, no clock here: what a result is dated comes with the job.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from models import card
from models.encoded import READING_FAULTS
from models.errors import ImageError, ModelsError
from models.findings import Answer, Findings
from models.session import Device, SessionOptions
from models.shortage import Tally
from models.verdict import study_answer
from node.cards import card_facts
from node.computed import where_computed
from node.errors import ResultRefused
from node.headers import facts_of, read_header
from node.identity import VERSION, fingerprint
from node.inspection import inspected
from node.instead import said_of, stand_in, without
from node.job import Analysis, Inspected, Inspection, Job, ModelTold, Setup, Withdrawal, Withdrawn
from node.report.earlier import EarlierLesion, lesions_of
from node.report.guard import check
from node.report.kind import Kind
from node.report.objects import objects, warm_up
from node.report.profile import profile_named
from node.report.request import DocumentRef, Request
from node.route import Chosen, Decision, route
from node.series import SeriesFacts, series_of
from node.suitable import rules_from
from node.systems.opening import open_system
from node.systems.protocol import Answered, LeftOut, Received, System
from node.tracking import Places, kept_tracking
from node.withdrawal import withdrawn
from storage import journal
from storage.errors import DiskFull, StorageError
from storage.files import ResultStore
from storage.results import ResultFile
from storage.states import Outcome
from storage.studies import Instance

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Work:
    """One study while its models answer, one after the other."""

    earlier: list[EarlierLesion]
    """Lesions of earlier runs that have not been found again yet."""
    models: frozenset[str]
    """The names of all models that answer."""
    routing: tuple[str, ...]
    """What became of each series, in sentences."""
    findings: list[Findings] = field(default_factory=list)
    results: list[ResultFile] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    timings_s: dict[str, float] = field(default_factory=dict)

    def took(self, stages: Mapping[str, float]) -> None:
        """Add the seconds of one model to those of the others."""
        for stage, seconds in stages.items():
            self.timings_s[stage] = self.timings_s.get(stage, 0.0) + seconds


def open_desk(setup: Setup) -> "Desk":
    """Load every sound bundle; a damaged one is refused and named, and the others work."""
    shelf = card.bundles(Path(setup.models_folder))
    options = SessionOptions(Device(setup.provider), setup.threads, setup.gpu_memory_limit_mb)
    systems: dict[str, System] = {}
    refused = [_refused(damaged.folder, damaged.reason) for damaged in shelf.damaged]
    ready: list[ModelTold] = []
    told = []
    for bundle in shelf.sound:
        if bundle.card.stage is card.Stage.RETIRED:
            told.append(f"model {bundle.card.name} {bundle.card.version} is retired and not loaded")
            continue
        try:
            loaded = open_system(bundle, options)
            loaded.warm_up()
        except ModelsError as exc:
            refused.append(_refused(bundle.folder, str(exc)))
            continue
        label = card_facts(bundle.card).label
        if label in systems:
            words = f"{bundle.folder} calls itself {label}, as another bundle does. Remove one of the two."
            refused.append(_refused(bundle.folder, words))
            continue
        systems[label] = loaded
        provider = loaded.identity.provider
        told.append(f"model {bundle.card.name} {bundle.card.version} is ready on {provider}")
        ready.append(ModelTold(bundle.card.name, bundle.card.version, bundle.weights_sha256, provider))
    warm_up()
    reasons = tuple(each.refused for each in refused)
    sentences = (*(f"model refused: {reason}" for reason in reasons), *told)
    return Desk(setup, systems, sentences, reasons, (*ready, *refused), options.tally)


def _refused(folder: Path, reason: str) -> ModelTold:
    return ModelTold(folder.name, sha256=card.found_sha256(folder), refused=reason)


class Desk:
    """The loaded models and where images and results lie."""

    def __init__(
        self,
        setup: Setup,
        systems: Mapping[str, System],
        loaded: tuple[str, ...],
        refused: tuple[str, ...] = (),
        models: tuple[ModelTold, ...] = (),
        tally: Tally | None = None,
    ) -> None:
        self.loaded = loaded
        self.models = models
        self._refused = refused
        self._tally = tally or Tally()
        self.is_on_gpu = any("CUDA" in system.identity.provider for system in systems.values())
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
        except ResultRefused as exc:
            log.error("study %d: %s", job.study_id, exc)
            return Analysis(Outcome.FAILED_MODEL, (str(exc),))
        except MemoryError:
            words = "The analysis needed more memory than work.memory_limit_mb allows. Raise it, then retry."
            return Analysis(Outcome.FAILED_RESOURCE, (words,))
        except Exception as exc:  # a fault of ours must end in a state that a person sees, not in a dead worker
            log.exception("study %d: its analysis failed in a way that is not foreseen", job.study_id)
            words = f"The analysis failed with {type(exc).__name__}. This is a fault of Osteon; its log says more."
            return Analysis(Outcome.FAILED_MODEL, (words,))

    def inspect(self, inspection: Inspection) -> Inspected:
        """Read a document that somebody else made of our results."""
        return inspected(inspection, self._setup, self._journal, self._store)

    def withdraw(self, withdrawal: Withdrawal) -> Withdrawn:
        """Make a rejection note and put it on stable storage."""
        return withdrawn(withdrawal, self._setup, self._journal, self._store)

    def _analyse(self, job: Job) -> Analysis:
        started = time.perf_counter()
        images = {each.facts.sop_instance_uid: each for each in map(self._received, job.instances)}
        series = series_of(each.facts for each in images.values())
        decision = self._route(series)
        read_s = time.perf_counter() - started
        if decision.chosen is None:
            return replace(self._without_a_model(decision), timings_s={"read": read_s})
        base = self._named(job, decision, decision.answers)
        if base.fingerprint == job.last_fingerprint and not job.forced:
            return replace(base, unchanged=True)
        with_maps = any(Kind.MAP in profile_named(name).kinds for name in job.profiles)
        decision, answered = self._answers(decision, series, images, with_maps)
        base = self._named(job, decision, [chosen for chosen, _ in answered])
        if base.fingerprint == job.last_fingerprint and not job.forced:
            return replace(base, unchanged=True)  # what could not be used then cannot be used now
        work = _Work(
            self._earlier_lesions(job),
            frozenset(self._systems[chosen.card.label].identity.name for chosen, _ in answered),
            decision.explanation,
            timings_s={"read": read_s},
        )
        for _, said in answered:
            self._reported(job, said, images, work)
        return _told(base, work)

    def _without_a_model(self, decision: Decision) -> Analysis:
        """Why no model answers; where one is refused, nobody knows whether the study was for that one."""
        outcome, words = decision.outcome or Outcome.FAILED_MODEL, decision.explanation
        if self._refused and outcome.startswith(("NOT_APPLICABLE_", "AMBIGUOUS_")):
            advice = (
                "The study may be for a model that is refused: put that right, see osteon models, then osteon retry."
            )
            return Analysis(Outcome.FAILED_MODEL, (*words, advice, *self._refused))
        return Analysis(outcome, words)

    def _named(self, job: Job, decision: Decision, answers: Sequence[Chosen]) -> Analysis:
        """Which models answer, and the fingerprint of what they answer from."""
        identities = [self._systems[chosen.card.label].identity for chosen in answers]
        weights = "+".join(identity.weights_sha256 for identity in identities)
        inputs = [uid for chosen in answers for uid in chosen.images]
        return Analysis(
            Outcome.OK_NORMAL,
            decision.explanation,
            fingerprint=fingerprint(job.study_instance_uid, inputs, weights, f"Osteon {VERSION}"),
            model_name=" + ".join(identity.name for identity in identities),
            model_version=" + ".join(identity.version for identity in identities),
            weights_sha256=weights,
            provider=" + ".join(dict.fromkeys(identity.provider for identity in identities)),
        )

    def _route(self, series: Sequence[SeriesFacts]) -> Decision:
        return route(series, self._cards, rules_from(self._setup.route))

    def _answers(
        self, first: Decision, series: Sequence[SeriesFacts], images: Mapping[str, Received], with_maps: bool
    ) -> tuple[Decision, list[tuple[Chosen, Answered]]]:
        """What each model says; and the decision once more, where what it chose could not be used and another answers.

        The model answers from other images, or one that had left the study to it; where neither can, the first reason
        comes first.
        """
        decision, found = first, []
        for chosen in first.answers:
            said, last = self._said(chosen, images, with_maps), chosen
            told, rest = decision, series
            left_out, notes = list(said.left_out), list[str]()
            while said.failed:
                why = said.left_out[0].sentence
                left_out[-1] = replace(left_out[-1], sentence=f"{last.card.label}: {why}")
                rest = without(rest, last, said.failed, why)
                told = self._route(rest)
                other = stand_in(told, last)
                if other is None:
                    break
                notes.append(said_of(last, other, why))
                said, last = self._said(other, images, with_maps), other
                left_out += said.left_out
            if notes and said.findings is not None:
                decision, series, chosen = told, rest, last
                said = replace(said, findings=replace(said.findings, notes=(*notes, *said.findings.notes)))
            found.append((chosen, replace(said, left_out=tuple(left_out))))
        return decision, found

    def _said(self, chosen: Chosen, images: Mapping[str, Received], with_maps: bool) -> Answered:
        before = replace(self._tally)
        try:
            said = self._systems[chosen.card.label].study(chosen, images, with_maps)
        except ImageError as exc:  # what one model was given; another's images may be sound
            return Answered(None, left_out=(LeftOut(Outcome(exc.outcome), f"{chosen.card.label}: {exc}"),))
        if said.findings is None:
            return said
        return replace(said, findings=where_computed(said.findings, before, self._tally))

    def _reported(self, job: Job, said: Answered, images: Mapping[str, Received], work: _Work) -> None:
        """Report and store what one model says."""
        profiles = [profile_named(name) for name in job.profiles]
        work.left_out += said.left_out
        work.took(said.timings_s)
        if said.findings is None:
            return
        work.findings.append(said.findings)
        started = time.perf_counter()
        request = replace(
            self._request(job, len(work.results)),
            routing=work.routing,
            tracking_uids=_tracking_uids(said.findings, images, work),
        )
        encoded = objects(said.findings, said.sources, request, profiles)
        check(encoded, said.sources, _other_results(job, work))
        work.took({"report": time.perf_counter() - started})
        started = time.perf_counter()
        places = self._store.put_all([each.data for each in encoded])
        work.results += [each.kept_at(*place) for each, place in zip(encoded, places, strict=True)]
        work.took({"store": time.perf_counter() - started})

    def _earlier_lesions(self, job: Job) -> list[EarlierLesion]:
        """What earlier runs of the study found, as their reports say; of a lesion that several saw, the newest."""
        found: dict[str, EarlierLesion] = {}
        for report in job.earlier_reports:
            try:
                lesions = lesions_of(self._store.read(report.path, report.sha256))
            except (StorageError, *READING_FAULTS) as exc:  # what is lost is the name of a lesion, not the lesion
                log.warning("study %d: an earlier report cannot be read, its lesions get new names: %s", job.study_id,
                            exc if isinstance(exc, StorageError) else type(exc).__name__)  # fmt: skip
                continue
            for lesion in lesions:
                found.setdefault(lesion.tracking_uid, lesion)
        return list(found.values())

    def _received(self, instance: Instance) -> Received:
        header = read_header(journal.read(self._journal, instance.place), instance.transfer_syntax_uid)
        facts = facts_of(header, instance.patient_key)
        return Received(
            header, facts, instance.transfer_syntax_uid, partial(journal.read, self._journal, instance.place)
        )

    def _request(self, job: Job, first_order: int) -> Request:
        previous = tuple(
            DocumentRef(job.study_instance_uid, file.series_instance_uid, file.sop_class_uid, file.sop_instance_uid)
            for file in job.former_results
            if file.kind == "sr"
        )
        return Request(
            now=_moment(job.dated_at),
            last_image_at=None if job.last_image_at is None else _moment(job.last_image_at),
            run=job.version,
            installation=self._setup.installation,
            previous=previous,
            left_out=frozenset() if self._setup.adc_series else frozenset({Kind.ADC}),
            first_order=first_order,
        )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds).astimezone()


def _other_results(job: Job, work: _Work) -> set[str]:
    """What results of this run may name beside each other: those of other models, and of earlier runs."""
    return {file.sop_instance_uid for file in (*job.former_results, *job.earlier_reports, *work.results)}


def _tracking_uids(findings: Findings, images: Mapping[str, Received], work: _Work) -> dict[tuple[str, int], str]:
    """Which lesions were seen by an earlier run; those are matched with no other model's any more."""
    if not work.earlier:
        return {}
    places = Places(lambda uid: images[uid].header.dataset if uid in images else None)
    kept = kept_tracking(findings, work.earlier, places, work.models - {findings.model.name})
    matched = set(kept.values())
    work.earlier = [lesion for lesion in work.earlier if lesion.tracking_uid not in matched]
    return kept


def _told(base: Analysis, work: _Work) -> Analysis:
    """The analysis from what all models said; the most suspicious of them speaks for the study."""
    words = tuple(each.sentence for each in work.left_out)
    if not work.findings:
        return replace(
            base, outcome=work.left_out[0].outcome, explanation=(*base.explanation, *words), timings_s=work.timings_s
        )
    answer = study_answer([findings.answer for findings in work.findings])
    speaker = next((each for each in work.findings if each.answer is answer), work.findings[0])
    return replace(
        base,
        outcome=_outcome(answer),
        explanation=tuple(dict.fromkeys((*base.explanation, *words, *_said(work.findings)))),
        provider=" + ".join(dict.fromkeys(findings.model.provider for findings in work.findings)),
        answer=answer.value,
        probabilities={each.value: round(p, 4) for each, p in speaker.probabilities.items()},
        timings_s=work.timings_s,
        results=tuple(work.results),
    )


def _outcome(answer: Answer) -> Outcome:
    """Only models that looked and saw nothing give OK_NORMAL."""
    if answer is Answer.NORMAL:
        return Outcome.OK_NORMAL
    if answer is Answer.NOT_ASSESSED:
        return Outcome.REJECTED_UNLIKE
    return Outcome.OK_FINDINGS


def _said(several: Sequence[Findings]) -> tuple[str, ...]:
    """Each answer in a sentence, and what must be known with it."""
    told: list[str] = []
    for findings in several:
        lesions = sum(len(source.lesions) for source in findings.sources)
        shares = ", ".join(f"{answer.value} {100 * p:.0f} %" for answer, p in findings.probabilities.items())
        regions = f"{lesions} region{'' if lesions == 1 else 's'} outlined"
        who = "The answer" if len(several) == 1 else f"The answer of {findings.model.name}"
        answer = findings.answer.value.replace("_", " ")
        told.append(f"{who} is {answer} ({shares or 'no probabilities'}); {regions}.")
        told += findings.notes
        told += [note for source in findings.sources for note in source.notes]
    return tuple(dict.fromkeys(told))
