"""A real browser on the drawing page, and hands that draw."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Request, expect

Stroke = Sequence[tuple[float, float]]  # points, as shares of the surface's side

STROKES: dict[str, list[Stroke]] = {
    "0": [[(0.5, 0.2), (0.36, 0.27), (0.3, 0.5), (0.36, 0.73), (0.5, 0.8), (0.64, 0.73), (0.7, 0.5), (0.64, 0.27)]],
    "1": [[(0.5, 0.2), (0.5, 0.8)]],
    "2": [[(0.33, 0.33), (0.42, 0.22), (0.58, 0.22), (0.65, 0.35), (0.55, 0.52), (0.32, 0.78), (0.68, 0.78)]],
    "4": [[(0.42, 0.2), (0.32, 0.55), (0.68, 0.55)], [(0.6, 0.3), (0.57, 0.82)]],
    "7": [[(0.32, 0.24), (0.67, 0.24), (0.5, 0.5), (0.43, 0.8)]],
    "scribble": [[(0.2, 0.3), (0.4, 0.7), (0.3, 0.3), (0.6, 0.7), (0.5, 0.25), (0.75, 0.75), (0.7, 0.3), (0.3, 0.65)]],
    "17": [[(0.25, 0.2), (0.25, 0.8)], [(0.6, 0.24), (0.85, 0.24), (0.7, 0.5), (0.65, 0.8)]],
}
STROKES["0"][0] = [*STROKES["0"][0], (0.5, 0.2)]

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_RECORD = """() => { // the debugger does not see the bodies that are files
  const ask = window.fetch;
  window.bodies = [];
  window.fetch = async (path, options) => {
    if (options?.body) window.bodies.push(Array.from(new Uint8Array(await new Response(options.body).arrayBuffer())));
    return ask(path, options);
  };
}"""
_PATIENCE = 20_000  # ms; a busy machine is not a fault
_EXPECTED = "Failed to load resource"  # what the browser writes of every answer from 400 on


def launch(playwright: Playwright) -> Browser:
    """Start the system's Chromium, or skip the test with a message."""
    path = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if path is None:
        pytest.skip("THE PAGE WAS NOT TESTED: there is no chromium on the PATH")
    return playwright.chromium.launch(executable_path=path)


@dataclass
class Desk:
    """The page in one tab, and what went wrong in it."""

    page: Page
    url: str  # of the server, without a slash at the end
    faults: list[str] = field(default_factory=list)  # errors of scripts, breaches of the security policy
    requests: list[Request] = field(default_factory=list)

    @classmethod
    def open(cls, context: BrowserContext, url: str) -> Desk:
        """Open the page in a tab of its own.

        Args:
            context: A browser's, which keeps what tabs share.
            url: Of the server.
        """
        page = context.new_page()
        page.set_default_timeout(_PATIENCE)
        expect.set_options(timeout=_PATIENCE)
        desk = cls(page, url)
        page.on("pageerror", lambda error: desk.faults.append(str(error)))
        page.on("console", desk._listen)
        page.on("request", lambda request: desk.requests.append(request))
        page.goto(url + "/")
        return desk

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type == "error" and _EXPECTED not in message.text:
            self.faults.append(message.text)

    def check(self) -> None:
        """Check that there was no fault and no request to another host."""
        assert self.faults == []
        assert {
            each.url for each in self.requests if not each.url.startswith((self.url + "/", "data:", "blob:"))
        } == set()

    def record_bodies(self) -> None:
        """Record the bodies of all further requests."""
        self.page.evaluate(_RECORD)

    def last_body(self) -> bytes:
        """Return what was sent last, since `record_bodies`."""
        return bytes(self.page.evaluate("window.bodies.at(-1) ?? []"))

    def await_body(self, is_awaited: Callable[[bytes], bool]) -> bytes:
        """Wait for the body that a test expects, and give it; a drawing is sent repeatedly while it grows."""
        deadline = time.monotonic() + _PATIENCE / 1000
        while not is_awaited(body := self.last_body()):
            assert time.monotonic() < deadline, "it was not sent"
            self.page.wait_for_timeout(20)
        return body

    def draw(self, name: str, *, lift: bool = True) -> None:
        """Draw with the mouse.

        Args:
            name: Of `STROKES`.
            lift: Whether the button goes up after the last stroke.
        """
        *before, last = STROKES[name]
        for stroke in before:
            self.stroke(stroke)
        self.stroke(last, lift=lift)

    def stroke(self, stroke: Stroke, *, lift: bool = True) -> None:
        mouse = self.page.mouse
        mouse.move(*self.place(*stroke[0]))
        mouse.down()
        for point in stroke[1:]:
            mouse.move(*self.place(*point), steps=8)
        if lift:
            mouse.up()

    def touch(self, name: str) -> None:
        """Draw with a finger, as the system would report it."""
        session = self.page.context.new_cdp_session(self.page)
        for stroke in STROKES[name]:
            kinds = ["touchStart", *["touchMove"] * (len(stroke) - 1)]
            for kind, point in zip(kinds, stroke, strict=True):
                x, y = self.place(*point)
                session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
            session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return a point of the surface in pixels of the window."""
        box = self.page.locator("#surface").bounding_box()
        assert box is not None
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def ink(self) -> int:
        """Return the number of pixels on the canvas that are not paper, once it is painted."""
        return int(
            self.page.evaluate(
                """async () => {
                  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
                  const canvas = document.querySelector("#surface canvas");
                  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                  const pixels = new Uint32Array(data.buffer);
                  return pixels.reduce((count, pixel) => count + (pixel !== pixels[0]), 0);
                }"""
            )
        )

    def expect_label(self, label: str, *, accepted: bool = True) -> None:
        """Wait until the page shows this as what was read."""
        expect(self.page.locator("#label")).to_have_text(label)
        expect(self.page.locator("#answer")).to_have_attribute("data-state", "accepted" if accepted else "rejected")

    def expect_nothing(self) -> None:
        """Wait until the page shows no reading."""
        expect(self.page.locator("#answer")).to_have_attribute("data-state", "empty")

    def press(self, name: str) -> None:
        """Press a button by what a screen reader calls it."""
        self.page.get_by_role("button", name=name, exact=True).click()
