"""A headless Chromium driven by its DevTools protocol over a pipe: pages opened, clicked, asked and photographed.

Enough for one page at a time. The protocol: NUL-terminated JSON, written to file descriptor 3 and read from 4
(--remote-debugging-pipe); https://chromedevtools.github.io/devtools-protocol names the methods.
"""

import base64
import contextlib
import fcntl
import io
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # root has none; the pages are our own
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--remote-debugging-pipe",
)
ANSWERS_WITHIN_S = 120.0
LEAST_FREE_DESCRIPTOR = 10

Picture = npt.NDArray[np.uint8]
"""(rows, columns, 3), RGB."""


class Chromium:
    """One browser with one page of `size` (columns, rows) CSS pixels; ended with the `with` block."""

    def __init__(self, program: str, folder: Path, size: tuple[int, int]):
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "chromium.log"
        self.events: list[dict[str, Any]] = []
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        given = [fcntl.fcntl(end, fcntl.F_DUPFD, LEAST_FREE_DESCRIPTOR) for end in (to_read, to_write)]
        window = f"--window-size={size[0]},{size[1]}"
        command = [program, *FLAGS, window, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        plumbing = f'exec "$@" 3<&{given[0]} 4>&{given[1]} {given[0]}<&- {given[1]}>&-'
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", plumbing, "chromium", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=given,
                start_new_session=True,
                env={**os.environ, "HOME": str(folder)},
            )
        for end in (*given, to_read, to_write):
            os.close(end)
        self._pending, self._number, self._session = b"", 0, ""
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime"):
            self.call(f"{domain}.enable")
        width, height = size
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        for end in (self._read, self._write):
            os.close(end)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a method of the protocol; AssertionError when it fails or does not answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + ANSWERS_WITHIN_S
        while (answer := self._received(deadline, method)).get("id") != self._number:
            if "method" in answer:
                self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def _received(self, deadline: float, method: str) -> dict[str, Any]:
        """The next message."""
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._read, 2**20) if ready else b""
            assert data, f"Chromium said nothing to {method} within {ANSWERS_WITHIN_S:.0f} s; see {self.log}"
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def open(self, address: str) -> None:
        """Go to an address; what the page loads then is to be waited for."""
        self.events.clear()
        self.call("Page.navigate", url=address)

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression, promises waited for."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def click(self, x: float, y: float, times: int = 1) -> None:
        """Click at a place in CSS pixels."""
        place = {"x": x, "y": y, "button": "left"}
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for count in range(1, times + 1):
            self.call("Input.dispatchMouseEvent", type="mousePressed", clickCount=count, **place)
            self.call("Input.dispatchMouseEvent", type="mouseReleased", clickCount=count, **place)

    def picture(self) -> Picture:
        """The page as it looks now."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png", optimizeForSpeed=True)["data"])
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))

    def complaints(self) -> list[str]:
        """Errors that the page wrote to its console or did not catch, since it was opened."""
        found = []
        for event in self.events:
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                found.append(details.get("exception", {}).get("description") or details["text"])
            elif event["method"] == "Runtime.consoleAPICalled" and params["type"] == "error":
                found.append(" ".join(str(a.get("value") or a.get("description")) for a in params["args"]))
        return found
