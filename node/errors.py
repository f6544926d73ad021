"""The errors of the node, and who must act on each.

OsteonError
├── ConfigurationError      the admin: the configuration file must be mended before anything runs
├── ProfileUnknown          the admin: a peer has a result profile that this version does not know
├── ResultRefused           us: a result that mixes patients or studies, or refers to what was not read, is not kept
├── AnalystDied             nobody: the attempt is counted and repeated; after two the admin (quarantine)
└── PeerError               something between us and another DICOM system; `permanent` says whether trying again is idle
    ├── Unreachable         nobody (tried again); the admin of the network or the peer when it lasts
    ├── Disconnected        nobody: the peer closed, reset or aborted; tried again
    ├── TimedOut            nobody: the peer is slow or hangs; tried again
    ├── Rejected            nobody when transient; else the admins of both systems (AE titles)
    ├── NotAccepted         the admin of the peer: it does not take that class or transfer syntax
    ├── Answered            the admin of the peer: it answered a request with a failure status
    ├── WebAnswered         the admins of both: its web server answered a request with an HTTP status that is no success
    └── ProtocolBroken      the maker of the peer: what it sent is not DICOM; we abort and say what was wrong
"""


class OsteonError(Exception):
    """The root; its message is a sentence that an admin can act on."""


class ConfigurationError(OsteonError):
    """The configuration cannot be used; the message lists every fault found."""


class ProfileUnknown(OsteonError):
    """There is no result profile of that name."""


class ResultRefused(OsteonError):
    """A result that was made must not leave (node/report/guard.py)."""


class AnalystDied(OsteonError):
    """The child process that decodes and infers ended, hung or was stopped before it answered."""


class PeerError(OsteonError):
    """Something went wrong between this node and another DICOM system."""

    permanent = False
    """True when the same attempt would fail again until a person changes something."""


class Unreachable(PeerError):
    """No connection: unknown name, refused, no route, time-out of the connect, or TLS that does not come about."""


class Disconnected(PeerError):
    """The peer closed or reset the connection, or sent an A-ABORT."""


class TimedOut(PeerError):
    """A deadline passed while waiting for the peer."""


class Rejected(PeerError):
    """The peer answered the association request with an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

    def __init__(self, message: str, result: int, source: int, reason: int) -> None:
        super().__init__(message)
        self.result = result
        self.source = source
        self.reason = reason
        self.permanent = result == 1


class NotAccepted(PeerError):
    """The peer accepted the association but no presentation context in which this object could travel."""

    permanent = True


class Answered(PeerError):
    """The peer answered a request that is not C-STORE with a failure status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class WebAnswered(PeerError):
    """The peer's web server answered a DICOMweb request with a failure that concerns more than one object."""

    def __init__(self, message: str, status: int, *, permanent: bool) -> None:
        super().__init__(message)
        self.status = status
        self.permanent = permanent


class ProtocolBroken(PeerError):
    """The peer sent something that PS3.7 or PS3.8 does not allow; `reason` is that of the A-ABORT (PS3.8 9.3.8)."""

    permanent = True

    def __init__(self, message: str, reason: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
