"""IHE AI Results, requirement by requirement, and where the node is known to deviate."""

from node.conformance.markdown import bullets, table
from node.conformance.sample import all_made
from node.report import codes
from node.report.kind import Kind
from node.report.profile import PROFILES

_CONTRIBUTING = b"\x18\0\x01\xa0SQ"
"""The head of *Contributing Equipment Sequence* (0018,A001), Explicit VR Little Endian."""
_MET, _PARTLY, _NOT, _OTHERS = "met", "in part", "not met", "another actor's"
_REQUIREMENTS: tuple[tuple[str, str, str], ...] = (
    (
        "Result primitives: qualitative findings, measurements, locations, regions, tracking identifiers, image "
        "references",
        _MET,
        "SR groups of TID 1410, 1411 and 1501, with SCOORD outlines",
    ),
    (
        "Result primitive: parametric map",
        _PARTLY,
        "of MR, in profiles that ask for `map`; a radiograph has no Frame of Reference, so its map is a FRACTIONAL "
        "Segmentation",
    ),
    (
        "The root of the result tree is a TID 1500 SR that references every other result object",
        _MET,
        "the report is sent last and names each object of the run as evidence",
    ),
    (
        "Comprehensive 3D SR",
        _MET,
        "by default; an older class only by profile, or where the peer refuses it",
    ),
    (
        "Groups refer to segments of the Segmentation",
        _PARTLY,
        "in a second SR (`segment-sr`) in profiles that ask for it: OHIF 3.13 shows none of a report that has one. In "
        "the default report, segment and group share their tracking UID",
    ),
    ("Each finding has a tracking identifier and UID, the same in every object", _MET, "every measurement group"),
    (
        "A tracking UID stays with its lesion in a later run",
        _MET,
        "where the outlines of two runs overlap on the same images",
    ),
    ("Algorithm identification in each group", _MET, "name, version, family, manufacturer, hash of the weights"),
    ("Device observer", _MET, "UID of the installation, name, manufacturer, model"),
    (
        "Procedure reported, of CID 100",
        _MET,
        f"always ({codes.X_RAY_PROCEDURE.value}, LN) or ({codes.MR_PROCEDURE.value}, LN), body region unspecified: CID "
        "100 has no plain X-ray or MR of one region; the region is told by the finding site of each group",
    ),
    ("Results belong to the analysed study", _MET, "patient and study are the bytes of the source"),
    (
        "SCOORD where there is no Frame of Reference, SCOORD3D otherwise",
        _PARTLY,
        "SCOORD of radiographs. Of MR too, on the image that the outline was drawn on, as OHIF 3.13.2 throws an error "
        "on SCOORD3D and draws nothing; in `segment-sr` the regions of MR are segments, which lie in the Frame of "
        "Reference",
    ),
    ("Store results: RAD-18 C-STORE, or STOW-RS", _MET, "per peer"),
    (
        "Query for results at instance level (RAD-137)",
        _OTHERS,
        "the archive that keeps the results answers it; an Evidence Creator only stores them",
    ),
    ("Display rules", _OTHERS, "of the Image Display; the node displays nothing"),
    (
        "Rejection note (IOCM) for superseded results",
        _PARTLY,
        "off unless configured; then for each peer that has the newer report, naming what it accepted of older runs",
    ),
    (
        "AIRA: an assessment of a result comes back",
        _PARTLY,
        "reports, segmentations and key object notes are known by tracking UID or reference, linked to the result and "
        "start no run; the codes of the supplement were not at hand, so those of a product are named by configuration",
    ),
)
_DEVIATIONS = (
    "The text of the AIR supplement was not at hand; the requirements above are from public pages of IHE.",
    "Regions of MR are SCOORD on the image they were drawn on, not SCOORD3D: OHIF 3.13 fails on SCOORD3D.",
    "The Segmentation of a radiograph has a nominal plane in a Frame of Reference of its own, related to nothing; "
    "a profile can leave it out. Without it OHIF 3.13 shows nothing of the study and dcmqi refuses the object.",
    "A BINARY Segmentation of a volume whose rows times columns are no multiple of 8 has frames that begin inside a "
    "byte (PS3.5 8.1.1). Orthanc 1.10 answers 400 to a request for one, and OHIF 3.13.2 beside it draws all but the "
    "first in the wrong place. Tried there of a matrix of 97 x 83: BINARY (wrong place), FRACTIONAL of full and empty "
    "pixels (right), LABELMAP (right, with its background as one more segment in the list, and refused by many "
    "archives). So the profile `ohif` sends a FRACTIONAL one of such volumes.",
    "The background of a LABELMAP is the last item of *Segment Sequence*: OHIF 3.13 takes the first for segment 1.",
    "Objects of one run have series of their own, because viewers show only the last instance of a series.",
    "A report names as evidence all that the profile of its receiver holds, also a Segmentation whose class the "
    "receiver then refuses: evidence is what its creator knows of (PS3.3 C.17.2.3), and one report goes in the same "
    "bytes to everybody on every attempt. Its content tree refers to images that were received and to nothing else, so "
    "that nothing is missing from what it shows. The key images and the second report of a profile that has them do "
    "refer to the Segmentation; neither is for a receiver that refuses it.",
    f"Answers and kinds of tumour without a standard code are of the private scheme {codes.PRIVATE_SCHEME}.",
    "Procedure Reported does not repeat the procedure codes of the source.",
    "C-STORE of other bytes under a UID that is known is answered 0x0000 and changes nothing.",
    "Transfer syntaxes that are not accepted: Deflated Explicit VR Little Endian (what it unpacks to has no limit) and "
    "Explicit VR Big Endian.",
    "A private element, an overlay or curve of a source is in no result.",
    "An identity that breaks its value representation (too long, or in an undeclared character set) is repeated as it "
    "is: another value would be another patient.",
    "No MPPS, no Instance Availability Notification, no retrieval of priors.",
)


def parts() -> tuple[str, ...]:
    """Chapters 10 and 11."""
    complete = ", ".join(f"`{name}`" for name, profile in PROFILES.items() if Kind.SEGMENT_SR in profile.kinds)
    return (
        "## 10 IHE AI Results (AIR), Evidence Creator",
        f"The profiles with all that AIR asks for: {complete}. No test of IHE was taken.",
        table(("requirement", "", "how"), (*_REQUIREMENTS, _contributing())),
        "## 11 Known deviations and limits",
        bullets(_DEVIATIONS),
    )


def _contributing() -> tuple[str, str, str]:
    """Asked of the objects themselves."""
    requirement = "Contributing equipment: the modality that made the source, the model that analysed it"
    held = [each for each in all_made() if _CONTRIBUTING in each.data]
    if not held:
        return requirement, _NOT, "equipment and software of the node are stated, that of the source is not"
    return requirement, _MET, f"in {', '.join(sorted({each.kind.value for each in held}))}"
