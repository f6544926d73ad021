"""Colours of answers and of distance levels, alike in pictures and in what segments recommend (PS3.3 C.8.20.4.1).

Those of distance levels go from warm to cold, by hue and lightness both: readers who do not see red, green or blue
tell them apart as well. No colour stands alone: words beside it, or the label of its segment, say the same.
"""

from dataclasses import dataclass

from models.findings import Answer

Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour of a screen (sRGB), and what people call it."""

    name: str
    rgb: Rgb


COLOURS: dict[Answer, Colour] = {
    Answer.MALIGNANT: Colour("red", (255, 80, 70)),
    Answer.BENIGN: Colour("light blue", (64, 208, 240)),
    Answer.TUMOUR: Colour("orange", (255, 150, 60)),
}
OTHER_COLOUR = Colour("yellow", (255, 200, 50))
"""Of whatever is outlined and none of these."""
LEVEL_COLOURS: dict[str, Colour] = {
    "tumour": Colour("dark red", (220, 50, 32)),
    "near": Colour("amber", (255, 194, 10)),
    "middle": Colour("sky blue", (100, 200, 255)),
    "far": Colour("dark blue", (60, 90, 220)),
}
"""By the words of models.findings.DISTANCE_LEVELS; background is no segment."""


def colour_of(answer: Answer) -> Rgb:
    """Of a lesion."""
    return COLOURS.get(answer, OTHER_COLOUR).rgb
