"""The guards: too many requests, bodies too large or too slow, keys, origins; ids and log lines."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mnist_cnn.server import counters
from mnist_cnn.server.guards.headers import SECURITY_HEADERS
from mnist_cnn.server.guards.identity import choose_id
from mnist_cnn.server.guards.limits import BodiesAndTime, Concurrency
from mnist_cnn.server.paths import find_path
from server.conftest import MakeClient
from server.guarded import SECRET, Answer, ask, make_app, read_events, send

KIB = b"x" * 1024
KEY = "correct-horse-battery"
ORIGIN = "https://digits.example"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}


# Bodies and time


def with_layer(kind: type, **settings: Any) -> tuple[Any, Any]:
    """Return an application, and one layer of its guards."""
    app = make_app(**settings)
    app.middleware_stack = layer = app.build_middleware_stack()
    while not isinstance(layer, kind):
        layer = layer.app  # type: ignore[attr-defined]
    return app, layer


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Length": "1024000"}, [KIB] * 1000),
        ({"Transfer-Encoding": "chunked"}, [KIB] * 1000),
        ({"Content-Length": "1024000", "Expect": "100-continue"}, [None]),  # refused at once
    ],
)
def test_a_large_body_is_refused_and_discarded(headers: dict[str, str], body: list[bytes | None]) -> None:
    answer = send(make_app(max_body=2048), "POST", "/echo", body=body, headers=headers)
    assert (answer.status, answer.complete) == (413, True)
    assert answer.headers["connection"] == "close"
    assert answer.headers["content-type"] == "application/problem+json"
    assert "the limit is 2048" in answer.json()["detail"]


@pytest.mark.parametrize("headers", [{"Content-Length": "2048"}, {"Transfer-Encoding": "chunked"}])
def test_all_bodies_together_have_a_limit(headers: dict[str, str]) -> None:
    app, layer = with_layer(BodiesAndTime, max_body=2048, timeout=0.5)
    layer.room = 3072

    async def crowd() -> tuple[Answer, Answer, Answer]:
        slow = asyncio.create_task(ask(app, "POST", "/echo", body=[KIB, KIB, None], headers=headers))
        await asyncio.sleep(0.05)
        refused = await ask(app, "POST", "/echo", body=[KIB, KIB], headers=headers)
        small = await ask(app, "POST", "/echo", body=[b"x", b""])
        await slow
        return refused, small, await ask(app, "POST", "/echo", body=[KIB, KIB, b""], headers=headers)

    refused, small, after = asyncio.run(crowd())
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert "memory" in refused.json()["detail"]
    assert (small.status, after.status) == (200, 200)
    assert layer.room == 3072


@pytest.mark.parametrize("parts", [[KIB, b""], [KIB], [KIB] * 3, [KIB, None]], ids=["all", "left", "large", "slow"])
def test_however_a_request_ends_its_memory_is_given_back(parts: list[bytes | None]) -> None:
    app, layer = with_layer(BodiesAndTime, max_body=2048, timeout=0.05)
    before = layer.room
    send(app, "POST", "/echo", body=parts)
    assert layer.room == before


def test_a_length_without_a_body_takes_no_memory() -> None:
    app, layer = with_layer(BodiesAndTime, max_body=2048, timeout=0.5)
    layer.room = 2048

    async def crowd() -> Answer:
        heads = [asyncio.create_task(ask(app, "POST", "/echo", [None], {"Content-Length": "2048"})) for _ in range(9)]
        await asyncio.sleep(0.05)
        answer = await ask(app, "POST", "/echo", body=[KIB, b""])
        await asyncio.gather(*heads)
        return answer

    assert asyncio.run(crowd()).status == 200


def test_a_body_that_stops_coming_ends_with_408() -> None:
    answer = send(make_app(timeout=0.05), "POST", "/echo", body=[b"a", None])
    assert (answer.status, answer.headers["connection"]) == (408, "close")
    assert "within 0.05 s" in answer.json()["detail"]


def test_work_that_takes_too_long_is_cancelled_and_ends_with_503() -> None:
    app = make_app(timeout=0.05)
    answer = send(app, "GET", "/slow")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert app.state.cancelled == 1


def test_a_client_that_leaves_while_it_sends_is_not_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    send(make_app(), "POST", "/echo", body=[b"half"])
    (event,) = read_events(capsys.readouterr().out)
    assert (event["event"], event["status"]) == ("request", 499)


# The number of requests


def test_too_many_requests_are_refused_and_probes_are_not() -> None:
    app, layer = with_layer(Concurrency, timeout=0.3)
    layer.max_requests = 2

    async def crowd() -> tuple[Answer, Answer, Answer]:
        busy = [asyncio.create_task(ask(app, "GET", "/slow")) for _ in range(2)]
        await asyncio.sleep(0.05)
        refused = await ask(app, "POST", "/echo")
        probe = await ask(app, "GET", "/health/live")
        await asyncio.gather(*busy)
        return refused, probe, await ask(app, "POST", "/echo")

    before = _refusals("overload")
    refused, probe, after = asyncio.run(crowd())
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert "busy with 2 requests" in refused.json()["detail"]
    assert (probe.status, after.status, layer.in_progress) == (200, 200, 0)
    assert _refusals("overload") == before + 1


def _refusals(cause: str) -> float:
    name = f'mnist_cnn_refusals_total{{cause="{cause}"}} '
    lines = counters.render().decode().splitlines()
    return float(next((line.removeprefix(name) for line in lines if line.startswith(name)), 0))


# The key


@pytest.mark.parametrize(
    "headers", [{"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer  {KEY} "}]
)
def test_the_key_opens(headers: dict[str, str]) -> None:
    assert send(make_app(api_key=KEY), "GET", "/things/a", headers=headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": "ü" * 20},
        {"Authorization": f"Basic {KEY}"},
        {"X-API-Key": "wrong", "Authorization": f"Bearer {KEY}"},
    ],
)
def test_anything_else_does_not(headers: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    answer = send(make_app(api_key=KEY), "GET", "/things/a", headers=headers)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    said = answer.body.decode() + capsys.readouterr().out
    assert KEY not in said
    assert headers.get("X-API-Key", KEY) not in said


def test_a_request_without_the_key_takes_no_place() -> None:
    app, layer = with_layer(Concurrency, api_key=KEY)
    layer.max_requests = 1

    async def crowd() -> int:
        refused = asyncio.create_task(ask(app, "POST", "/echo", body=[None], headers={"Content-Length": "100000"}))
        await asyncio.sleep(0.05)
        assert not refused.done(), "a refusal lingers, or this test shows nothing"
        answer = await ask(app, "GET", "/things/a", headers={"X-API-Key": KEY})
        refused.cancel()
        return answer.status

    assert asyncio.run(crowd()) == 200


def test_only_the_page_the_documentation_and_probes_are_open(make_client: MakeClient) -> None:
    client = make_client(api_key=KEY)
    for path in ("/", "/page/main.js", "/docs", "/page/docs/swagger-ui.css", "/health/live", "/v2/health/ready"):
        assert client.get(path).status_code == 200
    document = client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            refused = client.request(method, path).status_code == 401
            assert refused is not path.startswith(("/health/", "/v2/health/")), path
            assert ("401" in operation["responses"]) is refused, path
            assert bool(operation.get("security")) is refused, path
    for path in ("/nothing", "/health", "/docs/"):
        assert client.post(path).status_code == 401
    assert find_path({"path": "/digits/docs", "root_path": "/digits"}) == "/docs"
    assert find_path({"path": "/docs-of-others", "root_path": "/docs"}) == "/docs-of-others"


# Headers


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/things/a", {}),
        ("GET", "/bug", {}),
        ("GET", "/none", {}),
        ("POST", "/echo", {"Content-Length": str(2**40), "Expect": "100-continue"}),
    ],
)
def test_every_answer_has_the_security_headers(method: str, path: str, headers: dict[str, str]) -> None:
    answer = send(make_app(), method, path, headers=headers)
    assert {name: answer.headers[name.lower()] for name in SECURITY_HEADERS} == SECURITY_HEADERS


def test_an_allowed_origin_may_ask_even_where_a_key_is_needed(make_client: MakeClient) -> None:
    client = make_client(cors_origins=(ORIGIN,), api_key=KEY)
    preflight = client.options("/predict", headers={**PREFLIGHT, "Access-Control-Request-Headers": "x-api-key"})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    refused = client.post("/predict", headers={"Origin": ORIGIN})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == ORIGIN  # otherwise the page cannot read the reason
    assert "access-control-allow-credentials" not in refused.headers
    other = client.options("/predict", headers={**PREFLIGHT, "Origin": "https://digits.example.evil.example"})
    assert "access-control-allow-origin" not in other.headers


# Ids and log lines


@given(st.binary(max_size=100))
@example(b"A.b_c-1")
@example(b"x" * 64)
def test_no_other_id_is_repeated(name: bytes) -> None:
    chosen = choose_id({"headers": [(b"x-request-id", name)]})
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", chosen)
    assert chosen.encode() == name or not re.fullmatch(rb"[A-Za-z0-9._-]{1,64}", name)


def test_one_line_per_request(capsys: pytest.CaptureFixture[str]) -> None:
    send(make_app(), "POST", "/echo", body=[b"12", b"345", b""], headers={"X-Request-ID": "mine"})
    (event,) = read_events(capsys.readouterr().out)
    assert event.pop("ms") >= 0
    assert event.pop("time").endswith("Z")
    assert event == {
        "level": "info",
        "event": "request",
        "request_id": "mine",
        "method": "POST",
        "route": "/echo",
        "status": 200,
        "images": 0,
        "bytes": 5,
    }


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", f"/things/{SECRET}", "/things/{name}"),
        ("GET", f"/{SECRET}", "none"),
        ("HEAD", "/things/a", "/things/{name}"),
        (SECRET.upper(), "/things/a", "/things/{name}"),
    ],
)
def test_a_line_names_the_route_and_nothing_that_was_sent(
    method: str, path: str, route: str, capsys: pytest.CaptureFixture[str]
) -> None:
    send(make_app(), method, path, headers={"User-Agent": SECRET, "Referer": SECRET, "X-Request-ID": f"{SECRET}!"})
    out = capsys.readouterr().out
    assert SECRET not in out.lower()  # the query contains it too
    (event,) = read_events(out)
    assert (event["method"], event["route"]) == (method if method in ("GET", "HEAD") else "other", route)


def test_a_bug_is_answered_with_500_and_logged_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    answer = send(make_app(), "GET", "/bug")
    out = capsys.readouterr().out
    assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
    assert SECRET not in out + answer.body.decode()
    bug, request = read_events(out)
    assert (bug["level"], bug["error"]) == ("error", "ValueError")
    assert bug["trace"][-1].endswith(" bug")
    assert bug["request_id"] == request["request_id"] == answer.json()["request_id"]
    assert request["status"] == 500


def test_probes_are_logged_only_for_debugging(capsys: pytest.CaptureFixture[str]) -> None:
    send(make_app(), "GET", "/health/live")
    assert capsys.readouterr().out == ""
    send(make_app(log_level="debug"), "GET", "/health/live")
    assert read_events(capsys.readouterr().out)[0]["level"] == "debug"
