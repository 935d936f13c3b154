"""Every request has a name of harmless characters, and one line in the log that tells nothing of its content."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_cnn.server.guards.identity import choose_name
from server.conftest import MakeClient
from server.guarded import SECRET, make_app, read_events, send


@pytest.mark.parametrize("name", ["a", "7c9e6679-7425-40de-944b-e07fc1f90ae7", "A.b_c-1", "x" * 64])
def test_a_harmless_name_is_kept(name: str) -> None:
    answer = send(make_app(), "GET", "/things/a", headers={"X-Request-ID": name})
    assert answer.headers["x-request-id"] == name


@given(st.binary(max_size=100))
def test_no_other_is_repeated(name: bytes) -> None:
    chosen = choose_name({"headers": [(b"x-request-id", name)]})
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", chosen)
    assert chosen.encode() == name or not re.fullmatch(rb"[A-Za-z0-9._-]{1,64}", name)


def test_names_differ() -> None:
    assert len({choose_name({"headers": []}) for _ in range(1000)}) == 1000


def test_a_problem_tells_its_request(capsys: pytest.CaptureFixture[str]) -> None:
    answer = send(make_app(), "GET", "/none")
    (event,) = read_events(capsys.readouterr().out)
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == event["request_id"]


def test_one_line_per_request(capsys: pytest.CaptureFixture[str]) -> None:
    send(make_app(), "POST", "/echo", body=[b"12", b"345", b""], headers={"X-Request-ID": "mine"})
    (event,) = read_events(capsys.readouterr().out)
    assert list(event)[:3] == ["time", "level", "event"]
    assert event["ms"] >= 0
    assert {key: event[key] for key in list(event)[1:] if key != "ms"} == {
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
def test_a_line_holds_the_template_of_the_route(
    method: str, path: str, route: str, capsys: pytest.CaptureFixture[str]
) -> None:
    send(make_app(), method, path, headers={"User-Agent": SECRET, "Referer": SECRET, "X-Request-ID": f"{SECRET}!"})
    out = capsys.readouterr().out
    assert SECRET not in out.lower()  # the query holds it too
    (event,) = read_events(out)
    assert (event["method"], event["route"]) == (method if method in ("GET", "HEAD") else "other", route)


def test_a_bug_is_answered_honestly_and_logged_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    answer = send(make_app(), "GET", "/bug")
    out = capsys.readouterr().out
    assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
    assert SECRET not in out + answer.body.decode()
    bug, request = read_events(out)
    assert (bug["level"], bug["error"]) == ("error", "ValueError from KeyError")
    assert re.fullmatch(r"server\.guarded:\d+ bug", bug["trace"][-1])
    assert bug["request_id"] == request["request_id"] == answer.json()["request_id"]
    assert request["status"] == 500


def test_probes_are_quiet_unless_they_fail(capsys: pytest.CaptureFixture[str]) -> None:
    send(make_app(), "GET", "/health/live")
    assert capsys.readouterr().out == ""
    send(make_app(log_level="debug"), "GET", "/health/live")
    assert read_events(capsys.readouterr().out)[0]["level"] == "debug"


def test_the_line_tells_the_number_of_images(make_client: MakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    blank = [[0] * 28] * 28
    assert make_client().post("/predict", json={"images": [blank, blank]}).status_code == 200
    assert read_events(capsys.readouterr().out)[-1]["images"] == 2
