"""The limb and the diffusion system on the MR stacks of a study."""

import time
from collections.abc import Mapping

from models import stack
from models.stack_card import HIGH, LOW
from node.route import Chosen
from node.systems.opened import Opened
from node.systems.protocol import Answered, Received
from node.systems.volumes import decoded


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
        return Answered(findings, (source,), (), timings | dict(findings.timings_s))
