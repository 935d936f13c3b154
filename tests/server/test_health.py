"""Alive, ready: what starts, stops and balances servers goes by."""

from __future__ import annotations

from starlette.testclient import TestClient

from mnist_cnn.server.application import create_app
from mnist_cnn.server.settings import Settings


def test_a_started_server_is_alive_and_ready(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "alive"}
    assert client.get("/health/ready").json() == {"status": "ready"}


def test_before_its_model_is_loaded_and_after_it_is_alive_only() -> None:
    app = create_app(Settings())
    not_started = TestClient(app)  # without its `with`, nothing starts
    for _ in range(2):
        assert not_started.get("/health/live").status_code == 200
        for answer in (
            not_started.get("/health/ready"),
            not_started.get("/model"),
            not_started.post("/predict", content=b"a"),
        ):
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert "Try again" in answer.json()["detail"]
        with TestClient(app) as started:
            assert started.get("/health/ready").status_code == 200


def test_any_asgi_server_finds_the_application() -> None:
    from mnist_cnn.server.asgi import app

    with TestClient(app) as started:
        assert started.get("/health/ready").status_code == 200
