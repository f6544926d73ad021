"""A sheet of paper as a PDF file (ISO 32000-1): lines of text, boxes and pictures, no more than a summary needs.

Text is text, in the fonts that every reader has: it stays sharp, can be searched and copied, and a page is small. The
same sheet gives the same bytes: nothing in it knows the time or a machine.

Points of 1/72 inch; x from the left, y from the top, as one reads.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from node.report.helvetica import ENCODING, width_of

A4 = (595.0, 842.0)
Colour = tuple[int, int, int]
BLACK: Colour = (0, 0, 0)
ELLIPSIS = "..."


@dataclass(slots=True)
class Sheet:
    """One page while it is being drawn; what is drawn later lies above."""

    width: float = A4[0]
    height: float = A4[1]
    _drawn: list[bytes] = field(default_factory=list)
    _pictures: list[npt.NDArray[np.uint8]] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, size: float, colour: Colour = BLACK, bold: bool = False) -> None:
        """A line of text whose baseline is at `y`.

        Raises
        ------
        UnicodeEncodeError
            The font has no glyph for a character; ask helvetica.is_drawable first.
        """
        font = "F2" if bold else "F1"
        self._draw(
            f"BT {_paint(colour)} rg /{font} {size:g} Tf {x:.2f} {self.height - y:.2f} Td ({_escaped(words)}) Tj ET"
        )

    def text_right(
        self, x: float, y: float, words: str, size: float, colour: Colour = BLACK, bold: bool = False
    ) -> None:
        """The same, ending at `x`."""
        self.text(x - width_of(words, size, bold), y, words, size, colour, bold)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A filled rectangle whose upper left corner is at (`x`, `y`)."""
        self._draw(f"{_paint(colour)} rg {x:.2f} {self.height - y - height:.2f} {width:.2f} {height:.2f} re f")

    def frame(
        self, x: float, y: float, width: float, height: float, colour: Colour, line: float = 1.0, dash: float = 0.0
    ) -> None:
        """The outline of a rectangle, dashed where `dash` says how long."""
        pattern = f"[{dash:g}] 0 d" if dash else "[] 0 d"
        self._draw(
            f"q {_paint(colour)} RG {line:g} w {pattern} "
            f"{x:.2f} {self.height - y - height:.2f} {width:.2f} {height:.2f} re S Q"
        )

    def stripes(self, x: float, y: float, width: float, height: float, colour: Colour, step: float = 12.0) -> None:
        """Slanting stripes in a rectangle."""
        bottom = self.height - y - height
        slants = " ".join(
            f"{x + place:.2f} {bottom:.2f} m {x + place + height:.2f} {bottom + height:.2f} l"
            for place in np.arange(-height, width, step)
        )
        self._draw(
            f"q {x:.2f} {bottom:.2f} {width:.2f} {height:.2f} re W n {_paint(colour)} RG {step / 3:g} w {slants} S Q"
        )

    def picture(self, x: float, y: float, width: float, height: float, pixels: npt.NDArray[np.uint8]) -> None:
        """`(rows, columns, 3)` RGB in a rectangle whose upper left corner is at (`x`, `y`)."""
        self._pictures.append(pixels)
        place = f"{width:.2f} 0 0 {height:.2f} {x:.2f} {self.height - y - height:.2f}"
        self._draw(f"q {place} cm /P{len(self._pictures)} Do Q")

    def file(self, title: str) -> bytes:
        """The page as a file.

        Parameters
        ----------
        title
            ASCII; readers show it in the bar of their window.
        """
        names = range(1, len(self._pictures) + 1)
        first_picture = 7
        objects = [
            b"<< /Type /Catalog /Pages 2 0 R /Lang (en) /ViewerPreferences << /DisplayDocTitle true >> >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            (
                f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {self.width:g} {self.height:g}] /Contents 4 0 R "
                "/Resources << /Font << /F1 5 0 R /F2 6 0 R >> /XObject << "
                + " ".join(f"/P{name} {first_picture + name - 1} 0 R" for name in names)
                + " >> >> >>"
            ).encode("ascii"),
            _stream("", b"\n".join(self._drawn)),
            *(
                f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>".encode("ascii")
                for name in ("Helvetica", "Helvetica-Bold")
            ),
            *(_picture(pixels) for pixels in self._pictures),
            f"<< /Title ({_escaped(title)}) >>".encode("ascii"),
        ]
        return _file(objects)

    def _draw(self, operators: str) -> None:
        self._drawn.append(operators.encode(ENCODING))


def wrapped(text: str, size: float, widest: float, bold: bool = False) -> list[str]:
    """The text in lines that are no wider than `widest`; a longer word has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        if lines and width_of(f"{lines[-1]} {word}", size, bold) <= widest:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def shortened(text: str, size: float, widest: float, bold: bool = False) -> str:
    """The text, cut with an ellipsis where it is wider than `widest`."""
    if width_of(text, size, bold) <= widest:
        return text
    while text and width_of(text + ELLIPSIS, size, bold) > widest:
        text = text[:-1]
    return text.rstrip() + ELLIPSIS


def _paint(colour: Colour) -> str:
    return " ".join(f"{each / 255:.3f}" for each in colour)


def _escaped(words: str) -> str:
    """A literal string (ISO 32000-1 7.3.4.2)."""
    return words.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def _stream(entries: str, data: bytes) -> bytes:
    packed = zlib.compress(data, 6)
    head = f"<< {entries}/Filter /FlateDecode /Length {len(packed)} >>\nstream\n"
    return head.encode("ascii") + packed + b"\nendstream"


def _picture(pixels: npt.NDArray[np.uint8]) -> bytes:
    rows, columns, _ = pixels.shape
    entries = (
        f"/Type /XObject /Subtype /Image /Width {columns} /Height {rows} /ColorSpace /DeviceRGB /BitsPerComponent 8 "
    )
    return _stream(entries, np.ascontiguousarray(pixels).tobytes())


def _file(objects: Sequence[bytes]) -> bytes:
    """The objects numbered from 1, the last of them the information dictionary, with their table (7.5)."""
    parts = [b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"]
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(sum(map(len, parts)))
        parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    table = sum(map(len, parts))
    parts.append(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    parts += [b"%010d 00000 n \n" % place for place in places]
    parts.append(
        b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (len(objects) + 1, len(objects), table)
    )
    return b"".join(parts)
