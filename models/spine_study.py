"""An open spine bundle, and its answer for the sequences of one study."""

import time
from collections.abc import Sequence

import numpy as np

from models.card import Bundle, contract_of, of_kind
from models.cardhead import Card
from models.findings import Findings, ModelIdentity, Spacing, SpacingSource
from models.nonsense import refuse_stuck
from models.session import Contract, SessionOptions, open_session
from models.slices import Float, normalise
from models.spine import (
    BOXES,
    DETECTED,
    FAMILIAR,
    SpineNets,
    SpineSequence,
    examine,
    is_assessable,
    is_familiar,
    strangeness,
)
from models.spine_card import CLASSES, SpineCard
from models.spine_findings import findings, not_assessed
from models.spine_input import CROP, SLICES
from models.volume import Volume


class Spine:
    """An open spine bundle; see `load`."""

    def __init__(self, card: SpineCard, identity: ModelIdentity, nets: SpineNets) -> None:
        self.card = card
        self.identity = identity
        self.nets = nets

    def warm_up(self) -> None:
        """Run the networks once: the first run of a session plans its memory, and shows an output that is stuck.

        Raises
        ------
        InferenceError
            The networks load but do not run here, or what they say does not depend on the image.
        """
        name = f"{self.identity.name} {self.identity.version}"
        plane = (1, *self.card.preprocess.size)
        refuse_stuck(self._boxes, plane, f"{name}, detector,")
        refuse_stuck(self._leaning, (SLICES, CROP, CROP), f"{name}, classifier,")
        if self.nets.familiar is not None:
            refuse_stuck(self.nets.familiar.run, plane, f"{name}, familiar,")

    def answer(self, sequences: Sequence[SpineSequence], age: float | None) -> Findings:
        """Findings for the sagittal sequences of one study.

        Parameters
        ----------
        age
            Years; None when it is not known, and then the other two terms carry its weight.

        Raises
        ------
        InferenceError
            A network broke or gave numbers that are no numbers; then nothing is said of the study.
        """
        if not sequences:
            raise ValueError("a study without sequences has no answer")
        started = time.perf_counter()
        reasons = [is_assessable(sequence.stack) or self._too_strange(sequence.stack) for sequence in sequences]
        assessed = [sequence for sequence, reason in zip(sequences, reasons, strict=True) if reason is None]
        refused = [
            not_assessed(sequence, reason) for sequence, reason in zip(sequences, reasons, strict=True) if reason
        ]
        timings = {"check": time.perf_counter() - started}
        rules = self.card.rules
        answer = examine(self.nets, [sequence.stack for sequence in assessed], age, rules, timings)
        return findings(self.identity, rules, assessed, answer, refused, timings)

    def _boxes(self, images: Float) -> dict[str, Float]:
        """What the detector says, as one output: with no box at all both of its outputs are zeros."""
        said = self.nets.detector.run(images)
        return {"list of boxes": np.concatenate([said["boxes"], said["probabilities"]], axis=-1)}

    def _leaning(self, images: Float) -> dict[str, Float]:
        """By how much the classifier leans to one class: the rest of its two numbers decides nothing."""
        logits = self.nets.classifier.run(images)["class_logits"]
        return {"class": logits[:, 1] - logits[:, 0]}

    def _too_strange(self, stack: Float) -> str | None:
        strange = strangeness(self.nets, normalise(stack), self.card.preprocess.size)
        return is_familiar(strange, self.card.thresholds.unlike)


def load(bundle: Bundle[Card], options: SessionOptions | None = None) -> Spine:
    """Open both networks of a verified bundle.

    Raises
    ------
    ContractError
        The bundle is of another system, or a network does not fit its card.
    RuntimeMissingError, ProviderError, InferenceError
    """
    sound = of_kind(bundle, SpineCard)
    card = sound.card
    sessions = {
        role: open_session(
            bundle.files[role], str(bundle.folder / card.files[role].path), contract(card, role), options
        )
        for role in card.files
    }
    identity = ModelIdentity(
        system=card.system,
        name=card.name,
        version=card.version,
        weights_sha256=bundle.weights_sha256,
        provider=" + ".join(dict.fromkeys(session.provider for session in sessions.values())),
        training_data=card.training_kind,
    )
    return Spine(card, identity, SpineNets(sessions["detector"], sessions["classifier"], sessions.get(FAMILIAR)))


def sequence_of(volume: Volume) -> SpineSequence:
    """A decoded stack as one sequence of a study."""
    _, row_mm, column_mm = volume.grid.spacing
    spacing = Spacing(row_mm, column_mm, SpacingSource.CALIBRATED)
    return SpineSequence(volume.series_instance_uid, volume.images, volume.voxels, spacing, volume.notes)


def contract(card: SpineCard, role: str) -> Contract:
    """What the file for `role` ("detector", "classifier", "familiar") must say, take and give."""
    if role == FAMILIAR:
        return Contract(contract_of(card, role), "image", (1, *card.preprocess.size), {"strangeness": (1,)})
    if role == "detector":
        outputs: dict[str, tuple[int, ...]] = {"boxes": (BOXES, 4), "probabilities": (BOXES, len(DETECTED))}
        return Contract(contract_of(card, role), "image", (1, *card.preprocess.size), outputs)
    return Contract(contract_of(card, role), "image", (SLICES, CROP, CROP), {"class_logits": (len(CLASSES),)})
