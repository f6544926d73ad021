"""The kinds of result object, and which of them everybody gets who asks for nothing special."""

from enum import StrEnum


class Kind(StrEnum):
    """The kinds of result object, in the order in which they leave: what a report names is there before it."""

    SEG = "seg"
    """Segmentation (66.4, or 66.7 where a profile asks for it), one per source, one segment per lesion."""
    MAP = "map"
    """How probable a tumour is at each pixel: a fractional Segmentation or a Parametric Map."""
    ADC = "adc"
    """Derived MR images: the ADC map that was computed here, where the scanner sent none; one series of several."""
    GSPS = "gsps"
    """Grayscale Softcopy Presentation State with outlines and text."""
    SC = "sc"
    """Secondary Capture: the original beside the overlay, for viewers that show nothing else; of a volume one for each
    slice on which a lesion is largest."""
    PDF = "pdf"
    """Encapsulated PDF: the result on a page."""
    KOS = "kos"
    """Key Object Selection: the images on which something is to be seen."""
    SEGMENT_SR = "segment-sr"
    """SR, TID 1500, whose groups refer to segments of the SEG, as IHE AIR has it; OHIF 3.13 shows none of it."""
    SR = "sr"
    """SR, TID 1500, whose groups carry their outlines: the report that viewers show."""
    REJECTION = "rejection"
    """Key Object Selection that withdraws what a peer has of earlier runs; made for one peer, after the rest has
    arrived there (node/withdrawing.py)."""


KINDS_OF_A_RUN = frozenset(Kind) - {Kind.REJECTION}
"""What a run makes and a profile can ask for."""
DEFAULT_KINDS = frozenset({Kind.SEG, Kind.ADC, Kind.GSPS, Kind.SC, Kind.SR})
"""What every receiver gets whose profile says nothing else."""
DOCUMENTS = frozenset({Kind.KOS, Kind.SEGMENT_SR, Kind.SR})
"""Kinds that name the other objects of their run."""
