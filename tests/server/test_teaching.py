"""The whole loop: a person draws, corrects misread digits, trains on them, and the next server reads them correctly."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import httpx
import numpy as np
import pytest

from mnist_cnn.datasets import load_dataset

if TYPE_CHECKING:
    from server.conftest import MakeServer
    from server.live import LiveServer


def slashed_zero(seed: int) -> bytes:
    """A 0 with a long slash, as some write it; the bundled network reads an 8."""
    random = np.random.default_rng(seed)
    paper = np.full((280, 280), 255, np.uint8)
    width, height = (int(each) for each in random.integers((55, 85), (75, 100)))
    cv2.ellipse(paper, (140, 140), (width, height), 0, 0, 360, 0, 12, cv2.LINE_AA)
    reach = int(random.integers(10, 25))
    start, end = (140 + width + reach, 140 - height - reach), (140 - width - reach, 140 + height + reach)
    cv2.line(paper, start, end, 0, 12, cv2.LINE_AA)
    return cv2.imencode(".png", paper)[1].tobytes()


def read(server: LiveServer, image: bytes) -> str:
    answer = httpx.post(f"{server.url}/predict", content=image, headers={"Content-Type": "image/png"})
    label: str = answer.json()["predictions"][0]["label"]
    return label


def read_many(server: LiveServer, images: Any) -> list[str]:
    answer = httpx.post(f"{server.url}/predict", json={"images": images.tolist()}, timeout=30)
    return [each["label"] for each in answer.json()["predictions"]]


def correct(server: LiveServer, image: bytes, label: str) -> None:
    """Do what the page does when somebody corrects a label."""
    body = {"image": f"data:image/png;base64,{base64.b64encode(image).decode()}", "label": label}
    headers = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    assert httpx.post(f"{server.url}/collect", json=body, headers=headers).status_code == 201


def run(folder: Path, *words: str) -> None:
    command = [sys.executable, "-m", "mnist_cnn", *words]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.slow
def test_misread_digits_are_read_after_teaching(live_server: MakeServer, tmp_path: Path) -> None:
    drawings = [slashed_zero(seed) for seed in range(12)]
    others = load_dataset("digits", split="test").subset(np.arange(200))

    page = live_server(collect=tmp_path / "my-digits")
    misread = [drawing for drawing in drawings[:6] if read(page, drawing) != "0"]
    assert len(misread) >= 4
    for drawing in misread:
        correct(page, drawing, "0")
    before = read_many(page, others.images)
    page.stop()

    run(tmp_path, "train", "--recipe", "teach", "--add", "my-digits", "--dataset", "digits")
    run(tmp_path, "export", "runs/teach-digits-001")

    taught = live_server(model=tmp_path / "runs" / "teach-digits-001")
    assert [read(taught, drawing) for drawing in drawings] == ["0"] * 12  # the other six, too
    right = [str(label) for label in others.labels]
    known, kept = (np.mean(np.array(labels) == right) for labels in (before, read_many(taught, others.images)))
    assert kept > known - 0.02  # the rest of the digits is not forgotten
