"""What is counted, and that it stays small whatever is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from mnist_cnn.reading.recognizer import Reading
from mnist_cnn.server import counters as metrics
from server.conftest import MakeClient
from server.guarded import make_app, send


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
    send(app, "GET", "/none")
    send(app, "BREW", "/none")
    before = metrics.render().count(b"\n")
    for index in range(50):
        send(app, f"M{index}", f"/{index}", headers={"X-Request-ID": str(index)})
    assert metrics.render().count(b"\n") == before
    assert _read("mnist_cnn_requests_total", route="none", method="other", status="404") >= 50


def test_images_are_counted_by_what_became_of_them() -> None:
    kinds = {"accepted": _reading(True), "blank": _reading(False, has_ink=False), "uncertain": _reading(False)}
    before = {kind: _read("mnist_cnn_images_total", outcome=kind) for kind in kinds}
    metrics.count_readings(kinds.values())
    metrics.observe_batch(3)
    assert all(_read("mnist_cnn_images_total", outcome=kind) == before[kind] + 1 for kind in kinds)
    assert _read("mnist_cnn_batch_images_bucket", le="4.0") >= 1


def test_latencies_are_told_apart_from_half_a_millisecond_to_ten_seconds() -> None:
    metrics.begin_request()
    metrics.end_request("/test", "GET", 200, 0.0004)
    assert _read("mnist_cnn_request_seconds_bucket", route="/test", le="0.0005") == 1
    assert _read("mnist_cnn_request_seconds_bucket", route="/test", le="10.0") == 1


def test_prometheus_can_read_the_answer(client: TestClient) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text;version=nonsense"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert names >= {"mnist_cnn_requests", "mnist_cnn_requests_in_work", "mnist_cnn_images"}
    assert "_created" not in answer.text


def test_predictions_show_up(make_client: MakeClient) -> None:
    client = make_client()
    images, batches = _read("mnist_cnn_images_total", outcome="blank"), _read("mnist_cnn_batch_images_count")
    client.post("/predict", json={"images": [[[0] * 28] * 28] * 3})
    assert _read("mnist_cnn_images_total", outcome="blank") == images + 3
    assert _read("mnist_cnn_batch_images_count") == batches + 1


_WORKER = """
from mnist_cnn.server import counters as metrics
metrics.begin_request(); metrics.begin_request()
metrics.end_request("/predict", "POST", 200, 0.003)
metrics.observe_batch(8)
"""


def test_workers_are_added_up_and_the_dead_have_nothing_in_work(tmp_path: Path) -> None:
    for script in (
        _WORKER,
        _WORKER,
        "from mnist_cnn.server import counters as metrics; print(metrics.render().decode())",
    ):
        environment = {**os.environ, metrics.FOLDER_VARIABLE: str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
    assert _read("mnist_cnn_requests_total", done.stdout, route="/predict", method="POST", status="200") == 2
    assert _read("mnist_cnn_batch_images_sum", done.stdout) == 16
    assert _read("mnist_cnn_requests_in_work", done.stdout) == 0


def test_the_workers_folder_goes_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(metrics.FOLDER_VARIABLE, raising=False)
    with metrics.shared_folder():
        folder = Path(os.environ[metrics.FOLDER_VARIABLE])
        assert folder.is_dir()
    assert not folder.exists()
    assert metrics.FOLDER_VARIABLE not in os.environ


def test_a_folder_of_the_environments_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(metrics.FOLDER_VARIABLE, str(tmp_path))
    with metrics.shared_folder():
        assert os.environ[metrics.FOLDER_VARIABLE] == str(tmp_path)
    assert tmp_path.is_dir()


def _read(name: str, text: str | None = None, **labels: str) -> float:
    families = text_string_to_metric_families(metrics.render().decode() if text is None else text)
    found = (each for family in families for each in family.samples if each.name == name and each.labels == labels)
    return next((float(each.value) for each in found), 0.0)


def _reading(accepted: bool, has_ink: bool = True) -> Reading:
    return Reading(3, "3", 0.5, accepted, np.full(10, 0.1, np.float32), has_ink)
