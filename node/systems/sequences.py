"""The spine and the hand system on the MR series of a study, each on its own grid."""

import time
from collections.abc import Mapping
from dataclasses import replace

from models import hand, spine_study
from node.facts.age import age_of
from node.route import Chosen
from node.systems.opened import Opened
from node.systems.protocol import Answered, Received
from node.systems.volumes import Decoded, decoded_each, with_left_out


class SpineSystem(Opened[spine_study.Spine]):
    """An open spine bundle that answers for studies; keeps the promise of node.systems.protocol.System."""

    def study(self, chosen: Chosen, images: Mapping[str, Received], with_maps: bool = False) -> Answered:
        """Look at every sequence that can be decoded; votes of all of them, and the age, make the patient's answer.

        It finds boxes and says nothing of single voxels, so it has no maps to give.
        """
        started = time.perf_counter()
        stacks, left_out = decoded_each(chosen, images)
        timings = {"decode": time.perf_counter() - started}
        if not stacks:
            return Answered(None, (), tuple(left_out), timings)
        age, doubt = age_of(stacks[0].members[0].header.dataset)
        findings = self._model.answer([spine_study.sequence_of(stack.volume) for stack in stacks], age)
        if doubt and findings.terms:
            findings = replace(findings, notes=(*findings.notes, doubt))
        findings = with_left_out(findings, left_out, chosen.lacking)
        by_image = {stack.volume.images[0]: stack for stack in stacks}
        sources = tuple(by_image[found.images[0]].source for found in findings.sources)
        return Answered(findings, sources, tuple(left_out), timings | dict(findings.timings_s))


class HandSystem(Opened[hand.HandModel]):
    """An open hand bundle that answers for studies; keeps the promise of node.systems.protocol.System."""

    def study(self, chosen: Chosen, images: Mapping[str, Received], with_maps: bool = False) -> Answered:
        """Look at every series that can be decoded, whatever its plane, beside those of other weightings; together they
        say which kind."""
        started = time.perf_counter()
        stacks, left_out = decoded_each(chosen, images)
        timings = {"decode": time.perf_counter() - started}
        if not stacks:
            return Answered(None, (), tuple(left_out), timings)
        said = self._model.answer([_of_a_hand(stack) for stack in stacks], with_maps)
        findings = with_left_out(said, left_out, chosen.lacking)
        return Answered(
            findings, tuple(stack.source for stack in stacks), tuple(left_out), timings | dict(findings.timings_s)
        )


def _of_a_hand(stack: Decoded) -> hand.Series:
    """A series that names no Frame of Reference (0020,0052) has one of its own: its place says nothing of others."""
    frame = stack.members[0].facts.geometry.frame_of_reference_uid or stack.volume.series_instance_uid
    return hand.Series(stack.volume, stack.role, frame)
