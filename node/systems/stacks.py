"""The limb and the diffusion system on the MR stacks of a study."""

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from models import stack
from models.stack_card import HIGH, LOW
from node.report.request import AdcSeries
from node.route import Chosen
from node.systems.opened import Opened
from node.systems.protocol import Answered, Received
from node.systems.volumes import Decoded, decoded


class StackSystem(Opened[stack.StackModel]):
    """An open limb or diffusion bundle that answers for studies; keeps the promise of node.systems.protocol.System."""

    def study(self, chosen: Chosen, images: Mapping[str, Received]) -> Answered:
        """Decode the stacks, look at them, and say what was found on the grid of the one that results belong to."""
        started = time.perf_counter()
        stacks = {name: decoded(name, chosen, images) for name in chosen.inputs}
        timings = {"decode": time.perf_counter() - started}
        started = time.perf_counter()
        b_values = {name: chosen.given[name].b_value or 0.0 for name in (LOW, HIGH) if name in chosen.given}
        volumes = {name: each.volume for name, each in stacks.items()}
        prepared = stack.prepared(self._model.card, volumes, b_values)
        timings["preprocess"] = time.perf_counter() - started
        findings = self._model.answer(prepared)
        source = next(each.source for each in stacks.values() if each.volume is prepared.source)
        if not any(map(_is_scanners_map, images.values())):
            source = replace(source, adc=_adc_series(prepared, stacks, b_values))
        return Answered(findings, (source,), (), timings | dict(findings.timings_s))


def _is_scanners_map(received: Received) -> bool:
    """Whether an object of the study is, or holds, an ADC map that is not ours."""
    facts = received.facts
    told = facts.mr.diffusion if facts.mr and not facts.is_own_result else None
    return bool(told and (told.is_adc or any(frame.is_adc for frame in told.frames)))


def _adc_series(
    prepared: stack.Stack, stacks: Mapping[str, Decoded], b_values: Mapping[str, float]
) -> AdcSeries | None:
    """The map that was computed from a pair of b-values, slice by slice with what it was computed from."""
    if prepared.adc is None or not {LOW, HIGH} <= stacks.keys():
        return None
    low, high = stacks[LOW], stacks[HIGH]
    members = {each.facts.sop_instance_uid: each.header.dataset for each in (*low.members, *high.members)}
    return AdcSeries(
        values=prepared.adc.values * np.float32(stack.ADC_PER_UNIT),
        made_from=tuple(zip(low.volume.images, high.volume.images, strict=True)),
        b_values=(b_values[LOW], b_values[HIGH]),
        headers=members,
    )
