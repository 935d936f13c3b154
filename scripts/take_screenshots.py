"""Take the screenshots of the tutorials: a run's report, and the drawing page where it is corrected.

    python scripts/take_screenshots.py RUN

It needs the extras `serve` and `dev`, and Chromium on the PATH.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from mnist_cnn.files import write_whole

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
CROSSED_TWO = [  # points of each stroke, as shares of the drawing surface
    [(0.27, 0.22), (0.71, 0.22), (0.29, 0.8), (0.76, 0.8)],
    [(0.33, 0.5), (0.67, 0.5)],
]
_PATIENCE = 30  # seconds until the server answers


def main() -> None:
    """Take all screenshots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    report = parser.parse_args().run.resolve() / "report.html"
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=browser_path) as browser:
        page = browser.new_page(viewport={"width": 1000, "height": 410})
        page.goto(report.as_uri())
        save(page.screenshot(), "report.png")
        save(page.locator("#errors figure").first.screenshot(), "confusions.png")
        with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as url:
            page = browser.new_page(viewport={"width": 1100, "height": 700})
            page.goto(url)
            draw(page, CROSSED_TWO)
            page.wait_for_timeout(1500)  # until the bars stop moving
            save(page.screenshot(), "teaching.png")


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a page that collects drawings in a folder, and give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mnist_cnn", "serve", "--port", str(port), "--collect", str(folder / "drawings")]
    with subprocess.Popen(command) as server:
        try:
            wait_for(f"{url}/health/ready")
            yield url
        finally:
            server.terminate()


def wait_for(url: str) -> None:
    """Wait until an address answers."""
    for _ in range(10 * _PATIENCE):
        with contextlib.suppress(OSError), urllib.request.urlopen(url):  # noqa: S310  # our own server
            return
        time.sleep(0.1)
    raise TimeoutError(f"{url} does not answer.")


def draw(page: Page, strokes: list[list[tuple[float, float]]]) -> None:
    """Draw with the mouse."""
    box = page.locator("#surface").bounding_box()
    if box is None:
        raise RuntimeError("the page shows no drawing surface.")
    for stroke in strokes:
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=8)
        page.mouse.up()


def save(screenshot: bytes, name: str) -> None:
    """Save a screenshot with at most 256 colours, which text and drawings do not exceed visibly."""
    picture = Image.open(io.BytesIO(screenshot)).convert("RGB").quantize(256)
    with write_whole(PICTURES / name) as partial:
        picture.save(partial, "PNG", optimize=True)


if __name__ == "__main__":
    main()
