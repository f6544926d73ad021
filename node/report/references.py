"""References from a document to other objects, and who made the document: what SR and KOS have in common."""

from collections.abc import Iterable

import highdicom.sr as hd
from pydicom.dataset import Dataset

from node.identity import MANUFACTURER, MODEL_NAME
from node.report.codes import DEVICE
from node.report.envelope import Envelope
from node.report.request import DocumentRef


def hierarchy(refs: Iterable[DocumentRef]) -> list[Dataset]:
    """Items of the Hierarchical SOP Instance Reference Macro (PS3.3 C.17.2.1): by study, by series, each object once.

    Studies, series and objects come in the order in which they are first named.
    """
    studies: dict[str, dict[str, dict[str, str]]] = {}
    for ref in refs:
        series = studies.setdefault(ref.study_instance_uid, {}).setdefault(ref.series_instance_uid, {})
        series[ref.sop_instance_uid] = ref.sop_class_uid
    return [_study_item(uid, series) for uid, series in studies.items()]


def observer(cover: Envelope) -> hd.ObserverContext:
    """This node as the device that observed (TID 1002, 1004)."""
    device = hd.DeviceObserverIdentifyingAttributes(
        uid=cover.device_uid, name=MODEL_NAME, manufacturer_name=MANUFACTURER, model_name=MODEL_NAME
    )
    return hd.ObserverContext(observer_type=hd.CodedConcept.from_code(DEVICE), observer_identifying_attributes=device)


def _study_item(study_instance_uid: str, series: dict[str, dict[str, str]]) -> Dataset:
    study = Dataset()
    study.StudyInstanceUID = study_instance_uid
    study.ReferencedSeriesSequence = [_series_item(uid, instances) for uid, instances in series.items()]
    return study


def _series_item(series_instance_uid: str, instances: dict[str, str]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = series_instance_uid
    item.ReferencedSOPSequence = [_instance_item(sop_class, uid) for uid, sop_class in instances.items()]
    return item


def _instance_item(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    return item
