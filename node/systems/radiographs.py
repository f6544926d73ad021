"""The knee system on the radiographs of a study."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from models import images, knee, spacing
from models.errors import ImageError
from models.findings import Answer, Findings, ImageRef
from models.verdict import study_answer
from node.report.request import Source
from node.route import Chosen
from node.systems.opened import Opened
from node.systems.protocol import Answered, LeftOut, Received, body_part_of
from storage.states import Outcome


class RadiographSystem(Opened[knee.Knee]):
    """An open knee bundle that answers for studies; keeps the promise of node.systems.protocol.System."""

    def study(self, chosen: Chosen, images: Mapping[str, Received], with_maps: bool = False) -> Answered:
        """Look at every radiograph; one that cannot be decoded is left out and named, it does not sink the others."""
        started = time.perf_counter()
        decoded: list[knee.KneeImage] = []
        left_out: list[LeftOut] = []
        for number, uid in enumerate(chosen.images, start=1):
            try:
                decoded.append(_decoded(images[uid]))
            except ImageError as exc:
                left_out.append(LeftOut(Outcome(exc.outcome), f"Image {number} is left out: {exc}"))
        timings = {"decode": time.perf_counter() - started}
        if not decoded:
            return Answered(None, (), tuple(left_out), timings)
        findings = _with_left_out(self._model.answer(decoded, with_maps), left_out)
        sources = tuple(_source(images[image.ref.sop_instance_uid], image) for image in decoded)
        return Answered(findings, sources, tuple(left_out), timings | dict(findings.timings_s))


def _with_left_out(findings: Findings, left_out: Sequence[LeftOut]) -> Findings:
    """What could not be looked at is said in every report, and a study with such an image is never normal."""
    if not left_out:
        return findings
    sentences = tuple(each.sentence for each in left_out)
    sources = tuple(replace(source, notes=(*source.notes, *sentences)) for source in findings.sources)
    return replace(findings, answer=study_answer([findings.answer, Answer.NOT_ASSESSED]), sources=sources)


def _decoded(received: Received) -> knee.KneeImage:
    radiograph = images.radiograph_from_bytes(received.data(), received.transfer_syntax_uid)
    ruler = spacing.ruler(received.header.dataset)
    ref = ImageRef(received.facts.sop_instance_uid)
    return knee.KneeImage(ref, received.facts.series_instance_uid, radiograph, ruler.spacing, ruler.notes)


def _source(received: Received, image: knee.KneeImage) -> Source:
    return Source(
        datasets=(received.header.dataset,),
        display=image.radiograph.display,
        body_part=body_part_of(received.facts),
        laterality=received.facts.laterality,
    )
