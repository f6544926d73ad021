"""The values that cross the pipe between the worker and its analysing child. Plain data, nothing heavy is imported."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from node.config import RouteSection
from storage.journal import Place
from storage.results import ResultFile
from storage.returned import Said
from storage.states import Outcome
from storage.studies import Instance


@dataclass(frozen=True, slots=True)
class Setup:
    """What the child needs once, when it starts."""

    models_folder: str
    journal_folder: str
    results_folder: str
    provider: str
    """auto, cpu or cuda."""
    threads: int
    log_level: str
    installation: str
    """Our AE title: which node of several speaks."""
    route: RouteSection = field(default_factory=RouteSection)
    """What an admin set for routing; node.suitable.rules_from makes the rules of it."""
    adc_series: bool = True
    """Whether an ADC map that was computed here becomes a series."""
    assessment_codes: tuple[str, str, str] = ("", "", "")
    """What an admin named for accepted, modified and rejected: codes as SCHEME:VALUE, with spaces between them."""
    gpu_memory_limit_mb: int = 0
    """Of one network; 0 for none."""
    desk: str = "node.analyse"
    """The module whose `open_desk(setup)` does the work; imported by name, so that the parent does not carry numpy,
    onnxruntime and highdicom."""


@dataclass(frozen=True, slots=True)
class ModelTold:
    """What became of one bundle when the child started."""

    name: str
    """Of the model; of one that was refused the name of its folder, where nothing better is known."""
    version: str = ""
    sha256: str = ""
    """Of its weights."""
    provider: str = ""
    refused: str = ""
    """Why it is not used; empty when it is."""


@dataclass(frozen=True, slots=True)
class Job:
    """One study to analyse."""

    study_id: int
    study_instance_uid: str
    dated_at: float
    """Unix seconds when the study became complete: the date inside its results, the same after any crash."""
    version: int
    """How many runs have left results before, plus one."""
    forced: bool
    """A person asked for this run: it is made even when nothing changed."""
    has_patient_conflict: bool
    """Images of more than one patient came under this study."""
    instances: tuple[Instance, ...]
    last_fingerprint: str | None
    """Of the newest good run; the same again means there is nothing new to say."""
    former_results: tuple[ResultFile, ...]
    """Of the run that this one supersedes."""
    earlier_reports: tuple[ResultFile, ...] = ()
    """Of every run that left any, newest first: which lesions were known, and under which tracking UIDs."""
    last_image_at: float | None = None
    """Unix seconds when the last image of the study arrived."""
    profiles: tuple[str, ...] = ("default",)
    """Names of the result profiles of those who get the results, each once."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """What came of it."""

    outcome: Outcome
    explanation: tuple[str, ...]
    fingerprint: str = ""
    postponed: bool = False
    """It could not be done now (the disk is full): no outcome yet, to be tried again after a while."""
    unchanged: bool = False
    """The inputs and the model are those of the last run: keep its results."""
    model_name: str = ""
    model_version: str = ""
    weights_sha256: str = ""
    provider: str = ""
    answer: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    timings_s: Mapping[str, float] = field(default_factory=dict)
    results: tuple[ResultFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Inspection:
    """A document of somebody else that may speak of our results, to be read in the child: it may be hostile."""

    study_id: int
    transfer_syntax_uid: str
    place: Place
    reports: tuple[ResultFile, ...]
    """Ours for the study, newest first."""
    results: frozenset[str]
    """SOP Instance UIDs of all that we made for the study."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What such a document says."""

    said: tuple[Said, ...]
    source_series_uid: str = ""
    fault: str = ""
    """Why it could not be read."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A rejection note to be made: which results of earlier runs one peer has and shall not show any more."""

    study_id: int
    study_instance_uid: str
    dated_at: float
    """Unix seconds; the moment of the note."""
    version: int
    """Of the run that took their place."""
    order: int
    """The place of the note among the results of that run."""
    reason: str
    """A value of node.report.kos.Rejection."""
    rejected: tuple[ResultFile, ...]
    image: Instance
    """Any image of the study: patient and study of the note are its."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The note, on stable storage; or why there is none."""

    note: ResultFile | None
    fault: str = ""


Task = Job | Inspection | Withdrawal
"""What the child can be asked."""
