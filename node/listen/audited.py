"""What the listener has audited of each association: who called from where, with which certificate, to what end."""

from node.audit.visits import Visit, Visits
from node.dimse.items import UserIdentity
from node.dimse.negotiate import Titles
from node.dimse.wire import Connection
from node.listen.admit import Rejection
from storage.audit import Action


class Audited:
    """Counts visits; for use by several threads."""

    def __init__(self, visits: Visits) -> None:
        self._visits = visits

    def accepted(self, connection: Connection, titles: Titles, address: str) -> None:
        """An association begins."""
        self._visits.note(
            Visit(Action.ASSOCIATION_ACCEPTED, titles.calling_ae, address, titles.called_ae, connection.certificate())
        )

    def rejected(self, connection: Connection, titles: Titles, address: str, rejection: Rejection) -> None:
        """A caller was told A-ASSOCIATE-RJ."""
        self._visits.note(
            Visit(
                Action.ASSOCIATION_REJECTED,
                titles.calling_ae,
                address,
                titles.called_ae,
                connection.certificate(),
                reason=rejection.words,
            )
        )

    def without_tls(self, address: str) -> None:
        """A connection on which TLS did not come about: no certificate, a wrong one, or no TLS at all."""
        self._visits.note(Visit(Action.ASSOCIATION_REJECTED, address=address, reason="TLS did not come about"))

    def user(self, titles: Titles, address: str, identity: UserIdentity | None, objection: Rejection | None) -> None:
        """A caller said for which user it acts, and was believed or not."""
        if identity is None or not identity.is_known:
            return
        action = Action.USER_ACCEPTED if objection is None else Action.USER_REFUSED
        # of a user who is refused the name is what somebody typed: it may be anything, a passcode too
        name = identity.primary.decode("utf-8", "replace") if objection is None else ""
        why = objection.words if objection is not None else ""
        self._visits.note(Visit(action, titles.calling_ae, address, titles.called_ae, user=name, reason=why))
