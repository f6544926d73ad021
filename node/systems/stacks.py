"""The limb and the diffusion system on the MR stacks of a study."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from models import stack
from models.errors import GeometryError, ImageError
from models.stack_card import HIGH, LOW
from node.report.request import AdcSeries
from node.route import Chosen
from node.systems.opened import Opened
from node.systems.protocol import Answered, LeftOut, Received
from node.systems.volumes import Decoded, decoded
from storage.states import Outcome


class StackSystem(Opened[stack.StackModel]):
    """An open limb or diffusion bundle that answers for studies; keeps the promise of node.systems.protocol.System."""

    def study(self, chosen: Chosen, images: Mapping[str, Received], with_maps: bool = False) -> Answered:
        """Decode the stacks, look at them, and say what was found on the grid of the one that results belong to."""
        started = time.perf_counter()
        stacks: dict[str, Decoded] = {}
        try:
            left_out = _decode(chosen, images, stacks)
        except ImageError as exc:
            missing = (name for name in chosen.inputs if name not in stacks and not stack.is_more(name))
            return _failed([next(missing)], exc)
        timings = {"decode": time.perf_counter() - started}
        started = time.perf_counter()
        b_values = {
            name: given.b_value for name, given in chosen.given.items() if name in stacks and given.b_value is not None
        }
        volumes = {name: each.volume for name, each in stacks.items()}
        try:
            prepared = stack.prepared(self._model.card, volumes, b_values)
        except ImageError as exc:
            return _failed([name for name in stacks if not stack.is_more(name)], exc)
        timings["preprocess"] = time.perf_counter() - started
        findings = self._model.answer(prepared, with_maps)
        findings = replace(findings, notes=(*findings.notes, *left_out))
        source = next(each.source for each in stacks.values() if each.volume is prepared.source)
        if not any(map(_is_scanners_map, images.values())):
            source = replace(source, adc=_adc_series(prepared, stacks, b_values))
        return Answered(findings, (source,), (), timings | dict(findings.timings_s))


def _decode(chosen: Chosen, images: Mapping[str, Received], stacks: dict[str, Decoded]) -> list[str]:
    """Decode the stacks by the names of their inputs, in their order; of further b-values one that cannot be used is
    left out, and named in a sentence.

    Raises
    ------
    ImageError
        A stack without which there is no answer cannot be decoded.
    """
    left_out: list[str] = []
    for name in sorted(chosen.inputs, key=stack.is_more):
        try:
            found = decoded(name, chosen, images)
            if stack.is_more(name) and not found.volume.grid.is_that_of(next(iter(stacks.values())).volume.grid):
                raise GeometryError("its voxels are not those of the others.")
        except ImageError as exc:
            if not stack.is_more(name):
                raise
            left_out.append(f"b = {chosen.given[name].b_value:g} s/mm2 is left out of the ADC: {exc}")
        else:
            stacks[name] = found
    return left_out


def _failed(names: Sequence[str], exc: ImageError) -> Answered:
    """No findings, because some inputs cannot be used."""
    return Answered(None, left_out=(LeftOut(Outcome(exc.outcome), str(exc)),), failed=tuple(names))


def _is_scanners_map(received: Received) -> bool:
    """Whether an object of the study is, or holds, an ADC map that is not ours."""
    facts = received.facts
    told = facts.mr.diffusion if facts.mr and not facts.is_own_result else None
    return bool(told and (told.is_adc or any(frame.is_adc for frame in told.frames)))


def _adc_series(
    prepared: stack.Stack, stacks: Mapping[str, Decoded], b_values: Mapping[str, float]
) -> AdcSeries | None:
    """The map that was computed from two b-values or more, slice by slice with what it was computed from."""
    if prepared.adc is None or not {LOW, HIGH} <= stacks.keys():
        return None
    names = stack.fitted(b_values)
    members = {each.facts.sop_instance_uid: each.header.dataset for name in names for each in stacks[name].members}
    return AdcSeries(
        values=prepared.adc.values * np.float32(stack.ADC_PER_UNIT),
        made_from=tuple(
            tuple(ref for refs in slices for ref in refs)
            for slices in zip(*(stacks[name].volume.all_images for name in names), strict=True)
        ),
        b_values=tuple(b_values[name] for name in names),
        headers=members,
    )
