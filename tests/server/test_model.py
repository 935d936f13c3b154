"""`GET /model`: what reads here."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.testclient import TestClient

import mnist_cnn
from mnist_cnn.recognizer import Recognizer
from mnist_cnn.server.schemas import ModelCard
from server.conftest import MakeClient

WEIGHTS = Path(mnist_cnn.__file__).with_name("weights")


def test_the_card_says_what_the_file_says(client: TestClient) -> None:
    card = ModelCard.model_validate_json(client.get("/model").content, strict=True)
    file = (WEIGHTS / "digits.onnx").read_bytes()
    recognizer = Recognizer.load(threads=1)
    assert card.shipped
    assert card.sha256 == hashlib.sha256(file).hexdigest()
    assert card.bytes == len(file)
    assert tuple(card.classes) == recognizer.class_names
    assert card.threshold == recognizer.threshold
    assert card.architecture == recognizer.metadata.architecture
    assert (card.limits.images, card.limits.body) == (256, 10 * 2**20)


def test_for_people_it_is_markdown(client: TestClient) -> None:
    answer = client.get("/model", headers={"accept": "text/markdown"})
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text == (WEIGHTS / "README.md").read_text(encoding="utf-8")


def test_another_model_and_threshold_are_used(make_client: MakeClient, tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes((WEIGHTS / "digits.onnx").read_bytes())
    client = make_client(model=path, threshold=0.125)
    card = client.get("/model").json()
    assert not card["shipped"]
    assert card["threshold"] == 0.125
    assert client.get("/model", headers={"accept": "text/markdown"}).status_code == 404
    assert str(tmp_path) not in client.get("/model").text, "where the file lies is nobody's business"
