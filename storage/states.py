"""The states of a study and of a delivery, the moves allowed between them, and the file that ends each.

A state is a committed row; a study is in exactly one of them over any number of crashes (promise P2).
"""

from enum import StrEnum


class StudyState(StrEnum):
    """Where a study is on its way. Each member: what holds in that state (and which file ends it)."""

    RECEIVING = "receiving"
    """Images arrive or may still arrive; nothing has been decided (node/settle.py)."""
    READY = "ready"
    """Complete by evidence, waiting for a worker to claim it (node/worker.py)."""
    ANALYSING = "analysing"
    """Leased by one worker, whose attempt was counted before it began (node/analyse.py)."""
    SENDING = "sending"
    """Results are encoded and on stable storage; deliveries are on their way (node/send.py)."""
    DELIVERED = "delivered"
    """Every destination has every result, proved as it is configured; final until an image arrives late."""
    NOT_APPLICABLE = "not_applicable"
    """No model answers for this study, for a reason that is shown; final until an image arrives late."""
    FAILED = "failed"
    """Something went wrong and a person must look; `osteon retry` starts it again (node/cli)."""
    QUARANTINED = "quarantined"
    """Two attempts ended in a crash; set apart so that it stops nobody; `osteon retry` frees it (node/cli)."""

    @property
    def words(self) -> str:
        """The state as it ends a sentence: "the study was being analysed"."""
        return _WORDS.get(self, self.value)


_WORDS = {
    StudyState.RECEIVING: "being received",
    StudyState.READY: "waiting to be analysed",
    StudyState.ANALYSING: "being analysed",
    StudyState.SENDING: "being sent",
    StudyState.NOT_APPLICABLE: "not applicable",
    StudyState.QUARANTINED: "in quarantine",
}

STUDY_MOVES: dict[StudyState, frozenset[StudyState]] = {
    StudyState.RECEIVING: frozenset({StudyState.READY}),
    StudyState.READY: frozenset({StudyState.ANALYSING, StudyState.RECEIVING}),
    StudyState.ANALYSING: frozenset(
        {
            StudyState.READY,  # the lease ran out or the worker stopped politely
            StudyState.SENDING,
            StudyState.DELIVERED,  # results for which nobody was named as destination
            StudyState.NOT_APPLICABLE,
            StudyState.FAILED,
            StudyState.QUARANTINED,
            StudyState.RECEIVING,  # an image arrived during the run: the answer is void
        }
    ),
    StudyState.SENDING: frozenset({StudyState.DELIVERED, StudyState.FAILED, StudyState.RECEIVING}),
    StudyState.DELIVERED: frozenset({StudyState.RECEIVING, StudyState.READY}),
    StudyState.NOT_APPLICABLE: frozenset({StudyState.RECEIVING, StudyState.READY}),
    StudyState.FAILED: frozenset(
        {
            StudyState.RECEIVING,
            StudyState.READY,
            StudyState.SENDING,
            StudyState.DELIVERED,  # the peer confirmed what had been given up
        }
    ),
    StudyState.QUARANTINED: frozenset({StudyState.RECEIVING, StudyState.READY}),
}

FINAL_STUDY_STATES = frozenset(
    {StudyState.DELIVERED, StudyState.NOT_APPLICABLE, StudyState.FAILED, StudyState.QUARANTINED}
)

ENDED_BY: dict[StudyState, str] = {
    StudyState.RECEIVING: "node/settle.py",
    StudyState.READY: "node/worker.py",
    StudyState.ANALYSING: "node/analyse.py",
    StudyState.SENDING: "node/send.py",
    StudyState.DELIVERED: "storage/intake.py",
    StudyState.NOT_APPLICABLE: "storage/intake.py",
    StudyState.FAILED: "node/cli",
    StudyState.QUARANTINED: "node/cli",
}


class RunState(StrEnum):
    """What became of one attempt to analyse a study; at most one attempt of a study is RUNNING."""

    RUNNING = "running"
    """Leased by a worker."""
    FINISHED = "finished"
    """Ended with an outcome that stands."""
    VOID = "void"
    """An image arrived meanwhile: its answer would not be that of the study."""
    CRASHED = "crashed"
    """Its lease ran out or its process died."""
    RELEASED = "released"
    """The worker stopped politely or has to wait; counts as no attempt."""


class DeliveryState(StrEnum):
    """Where one result object is on its way to one peer."""

    PENDING = "pending"
    """Due at `next_at`; never tried, or to be tried again."""
    SENDING = "sending"
    """Leased by one sender; another may take it when the lease has run out."""
    ACCEPTED = "accepted"
    """The peer answered with success or a warning (PS3.4 B.2.3); what proves that it keeps the object is still due."""
    DELIVERED = "delivered"
    """Accepted, and confirmed by storage commitment or a query, or by a peer that is configured to need neither."""
    RESERVE = "reserve"
    """Stands in for another object: sent when the peer refuses that one's class, else never."""
    REPLACED = "replaced"
    """The peer does not take its class; what stands in for it went instead."""
    PARKED = "parked"
    """Trying again makes no sense until a person acts; shown, never dropped."""


ON_ITS_WAY = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.ACCEPTED)
"""What a study waits for before it is delivered."""


class ReturnedState(StrEnum):
    """What became of a document that came for a study and may speak of our results (storage/returned.py)."""

    EARLY = "early"
    """The study has no result of ours yet that it could speak of."""
    DUE = "due"
    """To be read by a worker."""
    LINKED = "linked"
    """It speaks of results of ours; `assessments` has what it says."""
    UNRELATED = "unrelated"
    """It was read, and speaks of none."""
    UNREADABLE = "unreadable"
    """It could not be read; the reason is kept."""


TO_BE_SENT = (DeliveryState.PENDING, DeliveryState.SENDING)
"""What a sender still has to bring to its peer."""


class Outcome(StrEnum):
    """The machine code of a study's answer. None of the others may ever look like OK_NORMAL."""

    OK_FINDINGS = "OK_FINDINGS"
    OK_NORMAL = "OK_NORMAL"
    NOT_APPLICABLE_MODALITY = "NOT_APPLICABLE_MODALITY"
    NOT_APPLICABLE_BODYPART = "NOT_APPLICABLE_BODYPART"
    NOT_APPLICABLE_VIEW = "NOT_APPLICABLE_VIEW"
    NOT_APPLICABLE_SEQUENCE_MISSING = "NOT_APPLICABLE_SEQUENCE_MISSING"
    AMBIGUOUS_SEQUENCE = "AMBIGUOUS_SEQUENCE"
    AMBIGUOUS_BODYPART = "AMBIGUOUS_BODYPART"
    AMBIGUOUS_PLANE = "AMBIGUOUS_PLANE"
    REJECTED_LOCALIZER_ONLY = "REJECTED_LOCALIZER_ONLY"
    REJECTED_FOR_PROCESSING = "REJECTED_FOR_PROCESSING"
    REJECTED_MOSAIC = "REJECTED_MOSAIC"
    REJECTED_GEOMETRY = "REJECTED_GEOMETRY"
    REJECTED_BURNED_IN = "REJECTED_BURNED_IN"
    REJECTED_INCOMPLETE = "REJECTED_INCOMPLETE"
    REJECTED_DECODE = "REJECTED_DECODE"
    REJECTED_UNLIKE = "REJECTED_UNLIKE"
    """The model does not know such images: unlike its training data, so it does not assess them."""
    INPUT_PATIENT_MISMATCH = "INPUT_PATIENT_MISMATCH"
    FAILED_MODEL = "FAILED_MODEL"
    FAILED_RESOURCE = "FAILED_RESOURCE"
    FAILED_SEND = "FAILED_SEND"
    FAILED_COMMIT = "FAILED_COMMIT"
    """A peer accepted results and then did not confirm that it keeps them."""


def state_for(outcome: Outcome) -> StudyState:
    """The state a study goes to when its analysis ends in `outcome` (results still have to be sent for OK_*)."""
    if outcome in (Outcome.OK_FINDINGS, Outcome.OK_NORMAL):
        return StudyState.SENDING
    if outcome.startswith("FAILED_"):
        return StudyState.FAILED
    return StudyState.NOT_APPLICABLE


def may_move(before: StudyState, after: StudyState) -> bool:
    """Whether a study may go from `before` to `after`."""
    return after in STUDY_MOVES[before]
