"""Health, metrics, logs, the model's description, and the documentation of the API."""

from __future__ import annotations

import json
import logging
import logging.config
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

import mnist_cnn
from mnist_cnn.reading.recognizer import Reading, Recognizer
from mnist_cnn.server import counters, logs
from mnist_cnn.server.application import create_app
from mnist_cnn.server.model_facts import ModelFacts
from mnist_cnn.server.settings import COUNTS_FOLDER, Settings
from reading.recognizer import linear
from server.conftest import MakeClient
from server.guarded import make_app, send

SECRET = "do-not-tell-anyone"
WEIGHTS = Path(mnist_cnn.__file__).parent / "reading" / "weights"
MARKDOWN = {"accept": "text/markdown"}


# Health


def test_a_server_is_ready_only_while_its_model_is_loaded() -> None:
    from mnist_cnn.server.asgi import app

    not_started = TestClient(app)  # without `with`, the application does not start
    for _ in range(2):
        assert not_started.get("/health/live").json() == {"status": "alive"}
        for answer in (not_started.get("/health/ready"), not_started.post("/predict", content=b"a")):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        with TestClient(app) as started:
            assert started.get("/health/ready").json() == {"status": "ready"}


# Metrics


def test_requests_are_counted_by_route_method_and_status() -> None:
    labels = {"route": "/things/{name}", "method": "GET", "status": "200"}
    before = _read("mnist_cnn_requests_total", **labels)
    app = make_app()
    for name in "abc":
        send(app, "GET", f"/things/{name}")
    assert _read("mnist_cnn_requests_total", **labels) == before + 3
    assert _read("mnist_cnn_request_seconds_count", route="/things/{name}") >= 3
    assert _read("mnist_cnn_requests_in_work") == 0


def test_nothing_that_a_client_invents_becomes_a_label() -> None:
    app = make_app()
    send(app, "BREW", "/none")
    before = counters.render().count(b"\n")
    for index in range(50):
        send(app, f"M{index}", f"/{index}", headers={"X-Request-ID": str(index)})
    assert counters.render().count(b"\n") == before


def test_images_are_counted_by_their_outcome(client: TestClient) -> None:
    outcomes = {"accepted": _reading(True), "blank": _reading(False, has_ink=False), "uncertain": _reading(False)}
    before = {outcome: _read("mnist_cnn_images_total", outcome=outcome) for outcome in outcomes}
    batches = _read("mnist_cnn_batch_images_count")
    counters.count_readings(list(outcomes.values()))
    client.post("/predict", json={"images": [[[0] * 28] * 28] * 3})
    assert _read("mnist_cnn_images_total", outcome="accepted") == before["accepted"] + 1
    assert _read("mnist_cnn_images_total", outcome="blank") == before["blank"] + 4
    assert _read("mnist_cnn_batch_images_count") == batches + 2


def test_prometheus_can_read_the_answer(client: TestClient) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert names >= {"mnist_cnn_requests", "mnist_cnn_requests_in_work", "mnist_cnn_images"}
    assert "_created" not in answer.text


_WORKER = """
from mnist_cnn.server import counters
counters.begin_request(); counters.begin_request()
counters.end_request("/predict", "POST", 200, 0.003)
"""


def test_workers_are_added_up_without_the_requests_of_dead_ones(tmp_path: Path) -> None:
    environment = {**os.environ, COUNTS_FOLDER: str(tmp_path)}
    for script in (_WORKER, _WORKER, "from mnist_cnn.server import counters; print(counters.render().decode())"):
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert _read("mnist_cnn_requests_total", done.stdout, route="/predict", method="POST", status="200") == 2
    assert _read("mnist_cnn_requests_in_work", done.stdout) == 0


def _read(name: str, text: str | None = None, **labels: str) -> float:
    families = text_string_to_metric_families(counters.render().decode() if text is None else text)
    found = (each for family in families for each in family.samples if each.name == name and each.labels == labels)
    return next((float(each.value) for each in found), 0.0)


def _reading(accepted: bool, has_ink: bool = True) -> Reading:
    return Reading(3, "3", 0.5, accepted, np.full(10, 0.1, np.float32), has_ink)


# Logs


@pytest.fixture
def _configured(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)


@pytest.mark.usefixtures("_configured")
def test_messages_of_libraries_are_lines_without_the_text_of_exceptions(capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logs.make_log_config(Settings(log_format="json")))
    logging.getLogger("any").error("Exception in application\nmore", exc_info=ValueError(SECRET))
    logging.getLogger("uvicorn.access").info("GET /?key=%s", SECRET)
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["level"], line["event"], line["error"]) == ("error", "Exception in application", "ValueError")
    assert SECRET not in str(line)


def test_a_closed_pipe_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def write(self, _text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    logs.make_logger(Settings(log_format="json")).info("nobody reads this")


# The model


def test_the_facts_are_those_of_the_file(client: TestClient, recognizer: Recognizer) -> None:
    facts = ModelFacts.model_validate_json(client.get("/model").content, strict=True)
    assert facts.shipped
    assert facts.bytes == (WEIGHTS / "digits.onnx").stat().st_size
    assert tuple(facts.classes) == recognizer.class_names
    assert facts.threshold == recognizer.threshold
    assert (facts.limits.images, facts.limits.body) == (256, 10 * 2**20)


@pytest.mark.parametrize("name", ["", "exports/model.onnx"])
def test_a_run_has_its_own_card_which_browsers_get_as_text(make_client: MakeClient, tmp_path: Path, name: str) -> None:
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "model.onnx").write_bytes((WEIGHTS / "digits.onnx").read_bytes())
    (tmp_path / "README.md").write_text("# Mine <b>", encoding="utf-8")
    client = make_client(model=tmp_path / name)
    for accept, kind in ((MARKDOWN["accept"], "text/markdown"), ("text/html,*/*;q=0.8", "text/plain")):
        answer = client.get("/model", headers={"accept": accept})
        assert (answer.text, answer.headers["content-type"]) == ("# Mine <b>", f"{kind}; charset=utf-8")


def test_the_included_weights_have_a_card(client: TestClient) -> None:
    assert client.get("/model", headers=MARKDOWN).text == (WEIGHTS / "README.md").read_text(encoding="utf-8")


def test_another_model_and_threshold_are_used(make_client: MakeClient, tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes((WEIGHTS / "digits.onnx").read_bytes())
    client = make_client(model=path, threshold=0.125)
    facts = client.get("/model").json()
    assert (facts["shipped"], facts["threshold"]) == (False, 0.125)
    assert client.get("/model", headers=MARKDOWN).status_code == 404
    assert str(tmp_path) not in client.get("/model").text, "clients need not know where the file is"
    assert client.get("/v2/models/mine").json()["name"] == "mine"
    assert client.get("/v2/models/digits").status_code == 404


def test_a_scale_is_used_and_logged(
    make_client: MakeClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "foreign.onnx"
    path.write_bytes(linear.make(("n", 1, 28, 28), grey_levels=True))
    picture = (Path(__file__).with_name("seven.png")).read_bytes()
    answer = make_client(model=path, scale=1).post("/predict", content=picture).json()["predictions"][0]
    expected = Recognizer.load(path, scale=1).read(picture)
    assert answer["digit"] == expected.digit
    assert answer["confidence"] == pytest.approx(expected.confidence, abs=1e-4)
    (line,) = (json.loads(line) for line in capsys.readouterr().out.splitlines() if '"scale"' in line)
    assert line["origin"] == "user"


# The documentation


def test_the_documentation_needs_no_other_host(client: TestClient) -> None:
    answer = client.get("/docs")
    assert "SwaggerUIBundle" in answer.text
    assert "http" not in answer.text
    assert "script-src 'self' 'sha256-" in answer.headers["content-security-policy"]
    for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
        assert f"page/docs/{name}" in answer.text
        assert client.get(f"/page/docs/{name}").status_code == 200


def test_the_document_is_about_callers() -> None:
    document = create_app(Settings()).openapi()
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            assert "Raises:" not in operation["description"]
