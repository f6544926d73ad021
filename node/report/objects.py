"""Findings in, result objects out: which are made, in which order, under which names, for which profiles.

Pure: no clock, no disk, no network; the same call gives the same bytes. SEG, GSPS and SC come only where something was
found; the SR always, last, naming the others. "Normal" is an SR that says so and nothing else, but for the ADC map of
a source that has one, whatever is on it.

An object that several profiles get alike is made once. What a profile holds ready for a peer that refuses a storage
class (node/report/profile.py, `fallbacks`) is made with the rest, so that an attempt weeks later sends what was then
said.
"""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from highdicom.sc import SCImage

from models.findings import Answer, Findings
from node.identity import MANUFACTURER, fingerprint, uid_of
from node.report.builders import BUILDERS
from node.report.chain import Serving, in_form, servings, variant_of
from node.report.encode import EncodedObject
from node.report.envelope import envelope
from node.report.kind import Kind
from node.report.naming import STUDY, about
from node.report.parts import Making, Part
from node.report.profile import Form, Profile
from node.report.request import Request, Source
from node.report.seg import encoding_of
from node.report.subject import Subject, subject
from node.report.words import headline
from storage.results import Role


def objects(
    findings: Findings, sources: Sequence[Source], request: Request, profiles: Sequence[Profile] = ()
) -> tuple[EncodedObject, ...]:
    """The result objects of one run, in the order in which they must be sent: that of `Kind`.

    Parameters
    ----------
    sources
        One per `findings.sources`, in the same order.
    profiles
        Whom to serve, each name once; () is the profile of the request alone.

    Returns
    -------
    Empty when nothing was assessed and no profile asks for a report of that.

    Raises
    ------
    ValueError
        When findings and sources do not belong together.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Invalid value for VR UI")  # the source's UIDs are repeated as they are
        return _objects(findings, sources, request, profiles or (request.profile,))


def run_hash_of(findings: Findings, sources: Sequence[Source], request: Request) -> str:
    """The fingerprint of a run: study, images used, weights and settings."""
    study = next((str(ds.StudyInstanceUID) for source in sources for ds in source.datasets), "")
    inputs = [image.sop_instance_uid for found in findings.sources for image in found.images]
    return fingerprint(study, inputs, findings.model.weights_sha256, request.config)


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


def _objects(
    findings: Findings, sources: Sequence[Source], request: Request, profiles: Sequence[Profile]
) -> tuple[EncodedObject, ...]:
    run_hash = run_hash_of(findings, sources, request)
    study = headline(findings.answer, findings.probabilities, findings.kind) if len(findings.sources) > 1 else ""
    subjects = [
        subject(found, source, findings.model, run_hash, request, study)
        for found, source in zip(findings.sources, sources, strict=True)
    ]
    if not subjects:
        raise ValueError("findings without a source")
    shelf = _Shelf(findings, subjects, request, run_hash)
    served = [
        _Served(replace(profile, kinds=profile.kinds - request.left_out))
        for profile in profiles
        if findings.answer is not Answer.NOT_ASSESSED or profile.report_not_assessed
    ]
    for kind in Kind:
        for each in served:
            each.take(kind, shelf)
    return shelf.all()


class _Shelf:
    """What has been made of a run so far, each object once, and who gets it."""

    def __init__(self, findings: Findings, subjects: Sequence[Subject], request: Request, run_hash: str) -> None:
        self.findings = findings
        self.subjects = subjects
        self.request = request
        self._run_hash = run_hash
        self._by_key = {each.key: each for each in subjects}
        self._about = {each.key: about(each, subjects) for each in subjects}
        self._made: list[EncodedObject] = []
        self._places: dict[tuple[Kind, str, str], range] = {}
        self._roles: dict[int, list[Role]] = {}

    def get(self, part: Part, form: Form, profile: Profile, named: Sequence[tuple[Kind, str]]) -> tuple[str, range]:
        """The objects of a part, made if they are not there yet: their variant and their places."""
        of_what = self._by_key.get(part.source)
        if of_what is not None:
            form = replace(form, segmentation=encoding_of(of_what, form.segmentation))
        variant = variant_of(form, profile, of_what is not None and of_what.is_projection, named)
        name = (form.kind, part.key, variant)
        if name not in self._places:
            key = f"{part.key}@{variant}" if variant else part.key
            order = self.request.first_order + len(self._made)
            request = replace(self.request, profile=profile)
            of = self._about.get(part.source, STUDY).part(part.detail)
            cover = envelope(form.kind, order, key, self._run_hash, self.findings.model, request, of)
            start = len(self._made)
            self._made += part.make(cover)
            self._places[name] = range(start, len(self._made))
        return variant, self._places[name]

    def at(self, place: int) -> EncodedObject:
        """The object at a place."""
        return self._made[place]

    def give(self, place: int, role: Role) -> None:
        """Let a profile have the object at a place."""
        self._roles.setdefault(place, []).append(role)

    def all(self) -> tuple[EncodedObject, ...]:
        """Everything, with who gets it."""
        return tuple(replace(each, roles=tuple(self._roles[place])) for place, each in enumerate(self._made))


class _Served:
    """One profile while it is served."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._servings = list(servings(profile))
        self._own: list[tuple[Kind, str, EncodedObject]] = []
        self._parts: dict[tuple[Kind, str], EncodedObject] = {}
        self._shown: dict[tuple[Form, str], list[str]] = {}
        """SOP Instance UIDs by form and source."""
        self._given: set[int] = set()

    def take(self, kind: Kind, shelf: _Shelf) -> None:
        """Take every form of one kind that the profile gets."""
        own = list(self._own)
        named = [(each, variant) for each, variant, _ in own]
        others = [result for _, _, result in own]
        for serving in self._servings:
            if serving.form.kind is not kind or kind not in BUILDERS:
                continue
            profile = in_form(self._profile, serving.form)
            request = replace(shelf.request, profile=profile)
            making = Making(shelf.findings, shelf.subjects, request, others, self._parts)
            for part in BUILDERS[kind](making):
                stands_for = self._stands_for(serving, part.source)
                if serving.in_reserve and not stands_for:
                    continue
                variant, places = shelf.get(part, serving.form, profile, named)
                if places and places[0] in self._given:  # two forms may come to the same, as of a radiograph's map
                    continue
                self._given.update(places)
                for place in places:
                    result = shelf.at(place)
                    shelf.give(place, Role(self._profile.name, stands_for, serving.in_reserve))
                    self._shown.setdefault((serving.form, part.source), []).append(result.sop_instance_uid)
                    if not serving.in_reserve:
                        self._own.append((kind, variant, result))
                        self._parts[kind, part.key] = result

    def _stands_for(self, serving: Serving, source: str) -> tuple[str, ...]:
        """What an object of this form about this source stands for: in each chain the nearest that was made."""
        found: list[str] = []
        for chain in serving.after:
            found += next((self._shown[form, source] for form in chain if (form, source) in self._shown), [])
        return tuple(dict.fromkeys(found))
