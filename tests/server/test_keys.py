"""The API key: wanted everywhere but where nobody can have it yet, and told to nobody."""

from __future__ import annotations

import asyncio

import pytest

from mnist_cnn.server.paths import find_path, is_open
from server.conftest import MakeClient
from server.guarded import ask, make_app, send

KEY = "correct-horse-battery"


@pytest.mark.parametrize(
    "headers", [{"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer  {KEY} "}]
)
def test_the_key_opens(headers: dict[str, str]) -> None:
    assert send(make_app(api_key=KEY), "GET", "/things/a", headers=headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": KEY + "x"},
        {"X-API-Key": KEY.upper()},
        {"X-API-Key": "ü" * 20},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer"},
        {"X-API-Key": "wrong", "Authorization": f"Bearer {KEY}"},
    ],
)
def test_anything_else_does_not(headers: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    answer = send(make_app(api_key=KEY), "GET", "/things/a", headers=headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    said = answer.body.decode() + capsys.readouterr().out
    assert KEY not in said
    assert not [value for name, value in headers.items() if name == "X-API-Key" and value and value in said]


def test_without_a_key_anyone_may_ask() -> None:
    assert send(make_app(), "GET", "/things/a").status == 200


def test_who_has_no_key_takes_nobodys_place() -> None:
    app = make_app(api_key=KEY, max_requests=1)

    async def crowd() -> int:
        refused = asyncio.create_task(ask(app, "POST", "/echo", body=[None], headers={"Content-Length": "100000"}))
        await asyncio.sleep(0.05)
        assert not refused.done(), "a refusal lingers, or this test shows nothing"
        answer = await ask(app, "GET", "/things/a", headers={"X-API-Key": KEY})
        refused.cancel()
        return answer.status

    assert asyncio.run(crowd()) == 200


def test_the_body_of_who_has_no_key_is_not_read() -> None:
    answer = send(make_app(api_key=KEY), "POST", "/echo", body=[None])  # would wait for ever
    assert answer.status == 401


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/docs", "/openapi.json", "/health/live", "/v2/health/ready"])
def test_open_paths(make_client: MakeClient, path: str) -> None:
    client = make_client(api_key=KEY)
    assert client.get(path).status_code == 200


def test_everything_else_is_closed(make_client: MakeClient) -> None:
    client = make_client(api_key=KEY)
    paths = client.get("/openapi.json").json()["paths"]
    closed = {path for path in paths if not path.startswith(("/health/", "/v2/health/"))}
    assert closed >= {"/predict", "/model", "/metrics", "/v2/models/{name}/infer"}
    for path in closed | {"/nothing", "//", "/health", "/predict\n", "/docs/", "/DOCS", "/../"}:
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            assert send(client.app, method, path).status == 401, (method, path)


@pytest.mark.parametrize(
    "path", ["/page/../predict", "/health/../predict", "/health//predict", "/v2/health/../../predict"]
)
def test_no_path_leads_around_it(make_client: MakeClient, path: str) -> None:
    assert send(make_client(api_key=KEY).app, "POST", path).status == 404


def test_paths_are_compared_without_the_prefix_of_a_proxy() -> None:
    assert is_open(find_path({"path": "/digits/health/live", "root_path": "/digits"}))
    assert not is_open(find_path({"path": "/digits/predict", "root_path": "/digits"}))
    assert not is_open(find_path({"path": "/digitshealth/live", "root_path": "/digits"}))
