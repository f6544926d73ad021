"""What goes instead of what, for one profile: pure bookkeeping over forms, before anything is made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from node.report.kind import DOCUMENTS, Kind
from node.report.profile import Form, MapType, Profile, ReportClass, SegmentationType

_REPORTS = frozenset({Kind.SEGMENT_SR, Kind.SR})


@dataclass(frozen=True, slots=True)
class Serving:
    """One form in which a profile gets something, at once or in reserve."""

    form: Form
    in_reserve: bool
    after: tuple[tuple[Form, ...], ...]
    """By chain that it belongs to, the forms before it, the nearest first: it stands for the first that was made."""


def own_form(kind: Kind, profile: Profile) -> Form:
    """The form in which the profile wants a kind."""
    return Form(
        kind,
        profile.segmentation if kind is Kind.SEG else SegmentationType.BINARY,
        profile.report if kind in _REPORTS else ReportClass.COMPREHENSIVE_3D,
        profile.map if kind is Kind.MAP else MapType.PARAMETRIC,
    )


def servings(profile: Profile) -> Iterator[Serving]:
    """Every form that the profile gets, in the order in which they are made: what stands for another comes after it."""
    wanted = [own_form(kind, profile) for kind in Kind if kind in profile.kinds]
    chains = [_chain(form, profile.fallbacks) for form in wanted]
    order = list(Kind)
    reserves = dict.fromkeys(form for chain in chains for form in chain if form not in wanted)
    for form in sorted([*wanted, *reserves], key=lambda form: (order.index(form.kind), form not in wanted)):
        after = tuple(tuple(reversed(chain[: chain.index(form)])) for chain in chains if form in chain[1:])
        yield Serving(form, form not in wanted, after)


def in_form(profile: Profile, form: Form) -> Profile:
    """The profile as a builder of that form must read it."""
    return replace(profile, segmentation=form.segmentation, report=form.report, map=form.map)


def variant_of(form: Form, profile: Profile, is_projection: bool, named: Sequence[tuple[Kind, str]]) -> str:
    """What of the profile makes an object differ from the one that the default profile gets: "" where nothing does.

    It is part of the UIDs, so that equal objects are one object, and no two objects share a UID.

    Parameters
    ----------
    named
        Kind and variant of the objects that a document names.
    """
    told = [] if profile.content_qualification == "RESEARCH" else [profile.content_qualification]
    if form.kind is Kind.SEG:
        told += [] if form.segmentation is SegmentationType.BINARY else [form.segmentation.value]
        told += [] if profile.omit_empty_frames or is_projection else ["every frame"]
        told += [] if profile.nominal_plane or not is_projection else ["no plane"]
    if form.kind is Kind.MAP:
        told += [] if form.map is MapType.PARAMETRIC or is_projection else [form.map.value]
        told += [] if profile.nominal_plane or not is_projection else ["no plane"]
    if form.kind in _REPORTS:
        told += [] if form.report is ReportClass.COMPREHENSIVE_3D else [form.report.value]
    if form.kind in DOCUMENTS:
        told += _of_named(form.kind, profile, named)
    return " ".join(told)


def _of_named(kind: Kind, profile: Profile, named: Sequence[tuple[Kind, str]]) -> list[str]:
    """Which kinds a document names, where that may be others than with the default profile."""
    order = list(Kind)
    before = order[: order.index(kind)]
    usual = {each for each in before if each in Profile().kinds}
    if not named or ({each for each in before if each in profile.kinds} == usual and not any(v for _, v in named)):
        return []
    return sorted({f"{each}:{variant}" for each, variant in named})


def _chain(first: Form, fallbacks: Mapping[Kind, tuple[Form, ...]]) -> list[Form]:
    """A form and what goes instead of it, each once."""
    return list(dict.fromkeys((first, *fallbacks.get(first.kind, ()))))
