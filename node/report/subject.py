"""One source as the builders of objects see it: findings, cleaned headers, carried bytes, anatomy, tracking."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from models.findings import Answer, ImageRef, Lesion, ModelIdentity, SourceFindings
from node.identity import uid_of
from node.report.codes import SYSTEM_BODY_PARTS
from node.report.header import Anatomy, anatomy_of, is_projection, skeleton, slice_thickness_of
from node.report.patient import carried
from node.report.request import Request, Source


@dataclass(frozen=True, slots=True)
class Subject:
    """What is said of one source, and of which images."""

    findings: SourceFindings
    source: Source
    headers: dict[str, Dataset]
    """The source data sets by SOP Instance UID, in the order of the findings; never changed."""
    images: tuple[Dataset, ...]
    """Their skeletons, in the same order."""
    carried: dict[BaseTag, bytes]
    anatomy: Anatomy
    is_projection: bool
    key: str
    """Which source this is, within the study."""
    study: str
    """The headline of the study, "" where this source is all of it."""
    tracking: dict[int, tuple[str, str]]
    """Tracking identifier and UID by lesion number: the same in SEG, SR and GSPS."""

    @property
    def first(self) -> Dataset:
        """The header that stands for the source."""
        return next(iter(self.headers.values()))

    @property
    def lesions(self) -> tuple[Lesion, ...]:
        """What was found; nothing on a source that is normal or was not assessed."""
        return () if self.findings.answer in (Answer.NORMAL, Answer.NOT_ASSESSED) else self.findings.lesions

    def image(self, sop_instance_uid: str) -> Dataset:
        """The skeleton of one image."""
        return self.images[list(self.headers).index(sop_instance_uid)]


def subject(
    findings: SourceFindings, source: Source, model: ModelIdentity, run_hash: str, request: Request, study: str = ""
) -> Subject:
    """Bring findings and headers together.

    Raises
    ------
    ValueError
        When a header of an image that the findings name is missing, or the mask does not fit the images.
    """
    given = {str(ds.SOPInstanceUID): ds for ds in source.datasets}
    wanted = list(dict.fromkeys(image.sop_instance_uid for image in findings.images))
    missing = [uid for uid in wanted if uid not in given]
    if missing or not wanted:
        raise ValueError(f"{len(missing)} of {len(wanted)} images of a source come without their header")
    headers = {uid: given[uid] for uid in wanted}
    grid = (len(findings.images), int(headers[wanted[0]].Rows), int(headers[wanted[0]].Columns))
    if findings.mask.shape != grid:
        raise ValueError(f"the mask is {findings.mask.shape}, the images are {grid}")
    thickness = slice_thickness_of(list(headers.values()))
    first = headers[wanted[0]]
    anatomy = anatomy_of(first, source.body_part, source.laterality, SYSTEM_BODY_PARTS.get(model.system, ""))
    return Subject(
        findings=findings,
        source=source,
        headers=headers,
        images=tuple(skeleton(ds, thickness) for ds in headers.values()),
        carried=carried(first),
        anatomy=anatomy,
        is_projection=is_projection(first),
        key=wanted[0],
        study=study,
        tracking={lesion.number: _tracking(lesion, wanted[0], run_hash, request) for lesion in findings.lesions},
    )


def key_slice(findings: SourceFindings) -> int:
    """Which plane of a source to show: the one with the most lesion, else the middle one."""
    planes = len(findings.images)
    if planes == 1 or not findings.lesions:
        return (planes - 1) // 2
    shown = np.count_nonzero(findings.mask, axis=(1, 2))
    if shown.any():
        return int(np.argmax(shown))
    return int(np.argmax(sum(_outlined(findings, lesion) for lesion in findings.lesions)))


def largest_plane(findings: SourceFindings, lesion: Lesion) -> int:
    """The plane on which a lesion has the largest surface, by its mask, else by its outlines; the first of equals."""
    shown = np.count_nonzero(findings.mask == lesion.number, axis=(1, 2))
    return int(np.argmax(shown if shown.any() else _outlined(findings, lesion)))


def surface(points: npt.NDArray[np.float32]) -> float:
    """Of a closed polygon, in square pixels."""
    following = np.roll(points, -1, axis=0)
    return abs(float(np.sum(points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]))) / 2.0


def _outlined(findings: SourceFindings, lesion: Lesion) -> npt.NDArray[np.float64]:
    """The surface inside the outlines of a lesion, by plane."""
    sizes = np.zeros(len(findings.images))
    for outline in lesion.outlines:
        sizes[findings.images.index(ImageRef(outline.sop_instance_uid, outline.frame))] += surface(outline.points)
    return sizes


def name_of(lesion: Lesion) -> str:
    """How people call a lesion; its answer is part of the name, because viewers show the name at the outline."""
    words = {Answer.UNDECIDED: "tumour, undecided", Answer.TUMOUR: "tumour"}
    return f"AI lesion {lesion.number}: {words.get(lesion.answer, lesion.answer.value)}"


def _tracking(lesion: Lesion, key: str, run_hash: str, request: Request) -> tuple[str, str]:
    """Identifier and UID: the one to keep, else the one of these inputs, unless another lesion keeps that."""
    kept, parts = request.tracking_uids, ("tracking", key, str(lesion.number))
    uid = kept.get((key, lesion.number)) or uid_of(run_hash, *parts)
    if (key, lesion.number) not in kept and uid in kept.values():
        uid = uid_of(run_hash, *parts, str(request.run))
    return name_of(lesion), uid
