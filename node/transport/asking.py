"""What a peer says of a study when it is asked: by C-FIND, or by QIDO-RS where it is a DICOMweb peer."""

from node.config import Config
from node.dicomweb import query as web
from node.dicomweb.connection import Connection
from node.dicomweb.service import service_of
from node.dimse import query as dimse
from node.dimse.client import Association, associate
from node.dimse.negotiate import find_contexts
from node.same_patient import Identity, identity, identity_of
from node.transport.dimse import timeouts_of
from storage.peers import Peer


def recorded_patients(config: Config, peer: Peer, study_instance_uid: str) -> list[Identity]:
    """Under which patient the peer has the study; empty when it does not know it, several when it has it twice.

    Raises
    ------
    PeerError
    """
    if peer.transport == "stow":
        with Connection(service_of(config, peer)) as connection:
            found = web.matching_studies(connection, study_instance_uid, (web.ISSUER_OF_PATIENT_ID,))
        return [identity(web.value(item, web.PATIENT_ID), web.value(item, web.ISSUER_OF_PATIENT_ID)) for item in found]
    with _association(config, peer) as association:
        return [identity_of(match) for match in dimse.matching_studies(association, study_instance_uid)]


def images_in_study(config: Config, peer: Peer, study_instance_uid: str) -> int | None:
    """How many radiographs and MR images the peer says the study has; None when it does not say.

    Raises
    ------
    PeerError
    """
    if peer.transport == "stow":
        with Connection(service_of(config, peer)) as connection:
            return web.images_in_study(connection, study_instance_uid)
    with _association(config, peer) as association:
        return dimse.images_in_study(association, study_instance_uid)


def _association(config: Config, peer: Peer) -> Association:
    return associate(
        peer.host, peer.port, calling=config.node.ae_title, called=peer.ae_title,
        contexts=find_contexts(), timeouts=timeouts_of(config),
    )  # fmt: skip
