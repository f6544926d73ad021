"""Benign or malignant, as the labels of a study say it: in these words, or by the kind of tumour of bone or spine."""

import re
from collections.abc import Sequence

from training.errors import DataFault

NOT = re.compile(r"\b(?:non|not|no)[-_ ]*(?:benign|malign)|\?")
"""What is denied or doubted is no verdict."""
SAID = (re.compile(r"benign"), re.compile(r"malign"))
"""Benign and malignant in so many words; what else a label says then does not count."""
MEANT = (
    re.compile(
        r"h(a)?emangioma|schwannoma|neurilemmoma|neurofibroma|meningioma|osteoid|osteoblastoma|cyst|chondroma|exostosis"
        r"|osteoma\b|fibroma\b|lipoma\b|giant[-_ ]*cell"
    ),
    re.compile(r"metast|myeloma|plasm[ao]cytoma|lymphoma|sarcoma|chordoma|carcinoma|ewing|adamantinoma"),
)
"""Kinds that are benign, and kinds that are malignant."""


def kind_of(said: Sequence[str]) -> int:
    """1 where all labels say benign, 2 where all say malignant.

    Raises
    ------
    DataFault
        They say neither, or both, or deny or doubt one.
    """
    if any(NOT.search(words.lower()) for words in said):
        raise DataFault(
            "A label denies or doubts what the tumour is (non-malignant, benign?). Write benign or malignant into the "
            "label of the segment (0062,0005), or into the name of the region (3006,0026), or strike the label."
        )
    found = [any(of_one[place] for of_one in map(_verdicts, said)) for place in range(2)]
    if sum(found) != 1:
        raise DataFault(
            f"Its labels say {'both benign and malignant' if all(found) else 'neither benign nor malignant'}. Write "
            "which it is into the label of the segment (0062,0005), or into the name of the region (3006,0026)."
        )
    return 1 + found.index(True)


def _verdicts(words: str) -> tuple[bool, bool]:
    """Whether one label says benign, and whether malignant."""
    for benign, malignant in (SAID, MEANT):
        made = bool(benign.search(words.lower())), bool(malignant.search(words.lower()))
        if any(made):
            return made
    return False, False
