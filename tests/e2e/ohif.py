"""OHIF as a reader uses it: a study opened, a result picked at the left, and where on the screen an image lies."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from deploy.viewer.server import Viewer
from tests.e2e.chromium import Chromium, Picture
from tests.e2e.processes import until

NO_TOUR = "localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']))"
LISTED = "[...document.querySelectorAll('[data-cy^=study-browser-thumbnail]')]"
SHOWN = "window.cornerstone.getRenderingEngines().flatMap(e => e.getViewports())"
SLOW_S = 90.0
"""A browser that draws in software beside other tests."""
WRITTEN_WITHIN_S, SHOWN_WITHIN_S, ATTEMPTS = 30.0, 15.0, 4

OWN = ":is(body *:not(:has(*)), button, input, svg):not(canvas, .svg-layer, .svg-layer *)"
LARGEST_OWN, OWN_MARGIN_PX = 0.05, 4

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Box:
    """A rectangle of the screen in pixels."""

    x: float
    y: float
    width: float
    height: float

    def grown(self, pixels: float) -> "Box":
        """With a margin around it; negative takes one off."""
        return Box(self.x - pixels, self.y - pixels, self.width + 2 * pixels, self.height + 2 * pixels)

    def of(self, shape: tuple[int, ...]) -> Mask:
        """The rectangle as a mask of a picture of that shape."""
        mask = np.zeros(shape[:2], dtype=bool)
        top, left = max(0, round(self.y)), max(0, round(self.x))
        mask[top : round(self.y + self.height), left : round(self.x + self.width)] = True
        return mask


@dataclass(frozen=True)
class Fit:
    """An image that a viewport shows as large as it fits, in the middle."""

    viewport: Box
    rows: int
    columns: int
    row_mm: float
    column_mm: float

    @property
    def pixels_per_mm(self) -> float:
        """Of the screen."""
        box = self.viewport
        return min(box.width / (self.columns * self.column_mm), box.height / (self.rows * self.row_mm))

    @property
    def image(self) -> Box:
        """Where the image lies; it may be larger than the viewport by a rounding."""
        width = self.columns * self.column_mm * self.pixels_per_mm
        height = self.rows * self.row_mm * self.pixels_per_mm
        box = self.viewport
        return Box(box.x + (box.width - width) / 2, box.y + (box.height - height) / 2, width, height)

    def projected(self, pixels: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """`(rows, columns)` of the image on a screen of that shape; zero where the image is not."""
        box = self.image
        y = np.floor((np.arange(shape[0]) + 0.5 - box.y) / box.height * self.rows).astype(int)
        x = np.floor((np.arange(shape[1]) + 0.5 - box.x) / box.width * self.columns).astype(int)
        inside = np.outer((y >= 0) & (y < self.rows), (x >= 0) & (x < self.columns))
        shown = pixels[y.clip(0, self.rows - 1)[:, None], x.clip(0, self.columns - 1)[None, :]]
        return np.where(inside, shown, np.zeros((), dtype=pixels.dtype))

    def points(self, places: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
        """Places of an image, `(points, 2)` as SCOORD has them (column, row), as (x, y) of the screen."""
        box = self.image
        scale = np.array([box.width / self.columns, box.height / self.rows])
        return np.asarray(places, dtype=np.float64) * scale + np.array([box.x, box.y])


class Ohif:
    """One window of OHIF."""

    def __init__(self, browser: Chromium, viewer: Viewer):
        self.browser, self.viewer = browser, viewer
        browser.call("Page.addScriptToEvaluateOnNewDocument", source=NO_TOUR)

    def open(self, study_instance_uid: str, results: tuple[str, ...]) -> Picture:
        """Open a study and wait until its first image is drawn and all of `results` are listed."""
        self.browser.open(self.viewer.study(study_instance_uid))
        for words in results:
            self._until(lambda words=words: self._listed(words), f"{words!r} is not listed")
        return self._drawn()

    def pick(self, words: str) -> None:
        """Two clicks on the entry at the left that has these words."""
        place = self._until(lambda: self._listed(words), f"{words!r} is not listed")
        self.browser.click(*place, times=2)

    def pick_report(self, words: str) -> None:
        """Two clicks on a report, and wait until something is written over the image.

        OHIF 3.13 draws no outlines of a report when its viewport takes over one that is just being set up, and does not
        draw them later: a reader then loads the page again, and so does this.
        """
        tools = "window.cornerstoneTools.ToolGroupManager.getToolGroupForViewport(v.id)"
        is_report = f"{SHOWN}.some(v => {tools}?.id === 'SRToolGroup')"
        for _ in range(ATTEMPTS):
            self.pick(words)
            self._until(lambda: self.browser.ask(is_report), "no report is opened")
            with contextlib.suppress(AssertionError):
                until(self.texts, WRITTEN_WITHIN_S, "nothing is written", 0.3)
                return
            address = self.browser.ask("location.href")
            self.browser.open("about:blank")
            self.browser.open(address)
            self._until(lambda: self._listed(words), f"{words!r} is not listed")
            self._drawn()
        raise AssertionError(f"nothing is written over the image: {self.browser.complaints()[:3]}")

    def press(self, label: str) -> None:
        """Click a button once it is there, and wait until it is gone."""
        found = f"[...document.querySelectorAll('button')].find(e => e.innerText.trim() === {json.dumps(label)})"
        centre = f"(e => e && (r => [r.x + r.width / 2, r.y + r.height / 2])(e.getBoundingClientRect()))({found})"
        self.browser.click(*self._until(lambda: self.browser.ask(centre), f"there is no button {label!r}"))
        self._until(lambda: not self.browser.ask(f"!!{found}"), f"the button {label!r} stays")

    def still(self, least: int = 3) -> Picture:
        """The page once it has looked the same `least` times in a row."""
        pictures: list[Picture] = []

        def settled() -> bool:
            pictures.append(self.browser.picture())
            last = pictures[-least:]
            return len(last) == least and all(np.array_equal(last[0], each) for each in last[1:])

        self._until(settled, "the page does not come to rest", every_s=0.4)
        return pictures[-1]

    def viewport(self) -> Box:
        """Where images are drawn."""
        return self.boxes("canvas.cornerstone-canvas")[0]

    def boxes(self, selector: str) -> list[Box]:
        """Where the elements of a selector are that can be seen."""
        found = self.browser.ask(
            f"[...document.querySelectorAll({json.dumps(selector)})].map(e => e.getBoundingClientRect())"
            ".filter(r => r.width && r.height).map(r => [r.x, r.y, r.width, r.height])"
        )
        return [Box(*each) for each in found]

    def texts(self) -> list[str]:
        """What is written over the image beside annotations, one entry an annotation, lines apart."""
        lines = "[...e.querySelectorAll('tspan')].map(t => t.textContent).join('\\n')"
        found: list[str] = self.browser.ask(f"[...document.querySelectorAll('svg.svg-layer text')].map(e => {lines})")
        return found

    def image(self) -> str:
        """SOP Instance UID of the image that is shown; empty while a viewport is set up."""
        shown = self.browser.ask(f"{SHOWN}.map(v => v.getCurrentImageId()).find(i => i)")
        return str(shown).partition("/instances/")[2].partition("/")[0]

    def go_to(self, sop_instance_uid: str) -> None:
        """Scroll to an image of the series that is shown.

        While OHIF lays a segmentation over a series it sets the viewport up anew and jumps to a slice of its own; that
        may undo a scroll, and as a reader does, this scrolls again.
        """
        index = f"v.getImageIds().findIndex(i => i.includes({json.dumps(f'/instances/{sop_instance_uid}/')}))"
        jump = f"v => v && window.cornerstone.utilities.jumpToSlice(v.element, {{imageIndex: {index}}})"
        for _ in range(ATTEMPTS):
            self.browser.ask(f"({jump})({SHOWN}.find(v => v.getCurrentImageId()))")
            with contextlib.suppress(AssertionError):
                until(lambda: self.image() == sop_instance_uid, SHOWN_WITHIN_S, "the image is not shown", 0.2)
                return
        self.shows(sop_instance_uid)

    def shows(self, sop_instance_uid: str) -> None:
        """Wait until an image is shown."""
        self._until(lambda: self.image() == sop_instance_uid, "the image is not shown")

    def own_words(self, shape: tuple[int, ...]) -> Mask:
        """Where OHIF writes and draws its own over the image: all that is small and neither image nor annotation."""
        mask, viewport = np.zeros(shape[:2], dtype=bool), self.viewport()
        for box in self.boxes(OWN):
            if box.width * box.height < LARGEST_OWN * viewport.width * viewport.height:
                mask |= box.grown(OWN_MARGIN_PX).of(shape)
        return mask

    def _drawn(self) -> Picture:
        """The page once an image is shown."""
        shown = f"!!window.cornerstone && {SHOWN}.some(v => v.getCurrentImageId())"
        self._until(lambda: self.browser.ask(shown), "no image is shown")
        return self.still()

    def _listed(self, words: str) -> list[float] | None:
        """The middle of an entry at the left, scrolled to; None while it is not there."""
        place = "e.scrollIntoView({block: 'center'}), (r => [r.x + r.width / 2, r.y + r.height / 2])"
        one = f"{LISTED}.find(e => e.innerText.includes({json.dumps(words)}))"
        found: list[float] | None = self.browser.ask(f"(e => e ? ({place}(e.getBoundingClientRect())) : null)({one})")
        return found

    def _until(self, found: Callable[[], Any], message: str, every_s: float = 0.2) -> Any:
        """Wait for the browser."""
        return until(found, SLOW_S, lambda: f"{message}; the page says {self.browser.complaints()[:3]}", every_s)


def colourful(picture: Picture, least: int = 30) -> Mask:
    """Where a picture is not grey, as images are and overlays are not."""
    channels = picture.astype(np.int16)
    return np.asarray(channels.max(axis=2) - channels.min(axis=2) > least)
