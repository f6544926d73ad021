"""Decode the stacks that were chosen, each on its own grid: for every system that looks at MR series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from models.averages import Part, average_from_bytes
from models.errors import ImageError
from models.findings import Answer, Findings
from models.stack_card import ADC
from models.verdict import study_answer
from models.volume import Volume, volume_from_bytes
from node.report.request import Source
from node.route import Chosen
from node.systems.protocol import LeftOut, Received, body_part_of
from storage.states import Outcome


@dataclass(frozen=True, slots=True)
class Decoded:
    """One stack, and the objects it came in."""

    name: str
    """Of the input of the model: "t2", and "t2 (2)" for a second stack of the same."""
    volume: Volume
    members: tuple[Received, ...]
    """In the order of the slices; of an average all that went into it."""

    @property
    def role(self) -> str:
        """The input without the number of the stack: "t2"."""
        return self.name.partition(" (")[0]

    @property
    def source(self) -> Source:
        """As the report wants it."""
        return Source(
            datasets=tuple(member.header.dataset for member in self.members),
            display=self.volume.voxels,
            body_part=body_part_of(self.members[0].facts),
            laterality=self.members[0].facts.laterality,
        )


def decoded(name: str, chosen: Chosen, images: Mapping[str, Received]) -> Decoded:
    """Decode the stack that an input was given.

    Raises
    ------
    ImageError
        With the outcome that a study of nothing else then has.
    """
    given = chosen.given[name]
    objects = {uid: (images[uid].data(), images[uid].transfer_syntax_uid) for uid in chosen.inputs[name]}
    if given.parts:
        parts = [Part(part.images, part.frames) for part in given.parts]
        volume = average_from_bytes(objects, parts)
        of = f"{given.directions} directions of diffusion" if given.directions else f"{len(parts)} repetitions"
        told = f"b = {given.b_value:g} s/mm2 is the geometric mean of {of}"
        volume = replace(volume, notes=(f"{told}, {sum(map(len, volume.made_from))} images.", *volume.notes))
    else:
        volume = volume_from_bytes(list(objects.values()), given.frames, is_adc=name == ADC)
    members = dict.fromkeys(ref.sop_instance_uid for refs in volume.all_images for ref in refs)
    return Decoded(name, volume, tuple(images[uid] for uid in members))


def decoded_each(chosen: Chosen, images: Mapping[str, Received]) -> tuple[list[Decoded], list[LeftOut]]:
    """Decode every stack by itself; one that cannot be is left out and named, it does not sink the others."""
    sound: list[Decoded] = []
    left_out: list[LeftOut] = []
    for name, uids in chosen.inputs.items():
        try:
            sound.append(decoded(name, chosen, images))
        except ImageError as exc:
            number = images[uids[0]].facts.series_number
            series = f"Series {number}" if number is not None else "A series without a number"
            left_out.append(LeftOut(Outcome(exc.outcome), f"{series} is left out: {exc}"))
    return sound, left_out


def with_left_out(findings: Findings, left_out: Sequence[LeftOut], lacking: Sequence[str] = ()) -> Findings:
    """What could not be looked at, and what did not come, is said of the study; one with a series that could not be
    looked at is never normal."""
    notes = (*findings.notes, *(each.sentence for each in left_out), *lacking)
    answer = study_answer([findings.answer, Answer.NOT_ASSESSED]) if left_out else findings.answer
    return replace(findings, answer=answer, notes=notes)
