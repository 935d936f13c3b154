"""`GET /model`: what reads here."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import mnist_cnn
from mnist_cnn.reading.recognizer import Recognizer
from mnist_cnn.server.model import read_card
from mnist_cnn.server.schemas import ModelCard
from reading.recognizer import linear
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


def test_in_a_browser_it_is_a_page(client: TestClient) -> None:
    answer = client.get("/model", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert client.get("/model").json()["sha256"] in answer.text
    assert "<td><code>limits.images</code></td><td>256</td>" in answer.text
    assert re.findall("<script[^>]*>", answer.text) == ['<script src="page/theme.js">']
    for address in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        assert client.get(f"/{address}").status_code == 200, address


@pytest.mark.parametrize("name", ["", "exports/model.onnx"])
def test_a_run_has_its_own_card(make_client: MakeClient, tmp_path: Path, name: str) -> None:
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "model.onnx").write_bytes((WEIGHTS / "digits.onnx").read_bytes())
    (tmp_path / "README.md").write_text("# Mine <b>", encoding="utf-8")
    client = make_client(model=tmp_path / name)
    assert client.get("/model", headers={"accept": "text/markdown"}).text == "# Mine <b>"
    assert "<pre># Mine &lt;b&gt;</pre>" in client.get("/model", headers={"accept": "text/html"}).text


def test_a_card_is_read_up_to_a_size(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"\xff" + bytes(2**21))
    card = read_card(tmp_path)
    assert card is not None
    assert len(card) == 2**20


def test_another_model_and_threshold_are_used(make_client: MakeClient, tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes((WEIGHTS / "digits.onnx").read_bytes())
    client = make_client(model=path, threshold=0.125)
    card = client.get("/model").json()
    assert not card["shipped"]
    assert card["threshold"] == 0.125
    assert client.get("/model", headers={"accept": "text/markdown"}).status_code == 404
    assert str(tmp_path) not in client.get("/model").text, "where the file lies is nobody's business"


def test_the_range_of_a_model_made_by_others_can_be_given_and_is_said(
    make_client: MakeClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "foreign.onnx"
    path.write_bytes(linear.make(("n", 1, 28, 28), grey_levels=True))
    picture = (Path(__file__).with_name("seven.png")).read_bytes()
    client = make_client(model=path, scale=1)
    answer = client.post("/predict", content=picture, headers={"Content-Type": "image/png"})
    answered = answer.json()["predictions"][0]
    expected = Recognizer.load(path, scale=1).read(picture)
    assert answered["digit"] == expected.digit
    assert answered["confidence"] == pytest.approx(expected.confidence, abs=1e-4)
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"scale"' in line]
    assert [(line["origin"], line["remark"]) for line in said] == [
        ("user", "grey levels are scaled to 0 … 255, because the scale is 1.")
    ]
