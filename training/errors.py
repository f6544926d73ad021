"""What can go wrong while training; the command line prints the sentence and ends with 2.

TrainingError
├── DataFault      the admin: the data set is not what was asked for
├── RunFault       the admin: a folder of a run is missing, foreign or of another recipe
└── UnequalExport  us: the exported graph does not answer as the network does; no bundle is written
"""


class TrainingError(Exception):
    """The root of this tree."""


class DataFault(TrainingError):
    """A data set that is missing, damaged or labelled wrongly."""


class RunFault(TrainingError):
    """A run that cannot be continued, or a bundle that cannot be used."""


class UnequalExport(TrainingError):
    """An exported graph that does not answer as its network."""
