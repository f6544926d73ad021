"""What the listener takes from a caller: SOP classes, and transfer syntaxes in its order of preference."""

from node.dimse import negotiate
from node.listen.scan import UNWALKABLE
from node.listen.settings import ListenSettings


def offer_of(settings: ListenSettings, *, reports: bool = False) -> negotiate.Offer:
    """All composite storage classes and Verification, in every syntax whose data sets can be walked on arrival.

    To a caller that `reports` on storage commitments that it was asked for, also that class, with it as SCP.
    """
    return negotiate.Offer(
        classes=negotiate.storage_classes() | {negotiate.VERIFICATION},
        transfer_syntaxes=tuple(syntax for syntax in settings.transfer_syntaxes if syntax not in UNWALKABLE),
        max_pdu=settings.max_pdu_bytes,
        knows_users=settings.users is not None,
        reporting=frozenset({negotiate.STORAGE_COMMITMENT}) if reports else frozenset(),
    )
