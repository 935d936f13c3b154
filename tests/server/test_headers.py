"""What answers tell browsers."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from mnist_cnn.server.guards.headers import SECURITY_HEADERS
from server.conftest import MakeClient
from server.guarded import make_app, send

ORIGIN = "https://digits.example"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/things/a", 200), ("GET", "/none", 404), ("DELETE", "/bug", 405), ("GET", "/bug", 500)],
)
def test_every_answer_has_the_security_headers(method: str, path: str, status: int) -> None:
    answer = send(make_app(), method, path)
    assert answer.status == status
    assert {name: answer.headers[name.lower()] for name in SECURITY_HEADERS} == SECURITY_HEADERS


def test_so_do_refusals() -> None:
    for answer in (
        send(make_app(api_key="k" * 16), "GET", "/"),
        send(make_app(), "POST", "/echo", headers=_too_long()),
    ):
        assert answer.status in (401, 404, 413)
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_policy_allows_no_other_host_and_nothing_inline() -> None:
    policy = dict(each.split(" ", 1) for each in SECURITY_HEADERS["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert not re.search(r"unsafe|https?:|\*", str(policy))


def test_the_pages_obey_the_policy(client: TestClient) -> None:
    for path in ("/", "/docs"):
        page = client.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert not re.search(r"<style|<script(?![^>]*\ssrc=)|\sstyle=|\son[a-z]+=|javascript:", page.text)
        loaded = re.findall(r"""<(?:script|img|link|iframe)[^>]*?(?:src|href)=["']([^"']+)""", page.text)
        assert loaded
        assert not [address for address in loaded if "//" in address]


def test_no_other_origin_may_ask_unless_it_is_listed(make_client: MakeClient) -> None:
    closed = make_client()
    assert closed.options("/predict", headers=PREFLIGHT).status_code == 405
    assert not [name for name in closed.get("/health/live", headers=PREFLIGHT).headers if "allow-origin" in name]


def test_a_listed_origin_may_ask_even_where_a_key_is_wanted(make_client: MakeClient) -> None:
    client = make_client(cors_origins=(ORIGIN,), api_key="k" * 16)
    asked = {**PREFLIGHT, "Access-Control-Request-Headers": "x-api-key, content-type"}
    preflight = client.options("/predict", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    refused = client.post("/predict", headers={"Origin": ORIGIN})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == ORIGIN  # so that the page can say what is wrong
    assert "access-control-allow-credentials" not in refused.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://digits.example.evil.example", ""])
def test_no_other_does(make_client: MakeClient, origin: str) -> None:
    client = make_client(cors_origins=(ORIGIN,))
    for answer in (
        client.options("/predict", headers={**PREFLIGHT, "Origin": origin}),
        client.get("/health/live", headers={"Origin": origin}),
    ):
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/health/live", "/model", "/metrics", "/docs", "/"])
def test_head_is_get_without_the_body(client: TestClient, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def test_head_is_no_way_around_a_method() -> None:
    assert send(make_app(), "HEAD", "/echo").status == 405


def _too_long() -> dict[str, str]:
    return {"Content-Length": str(2**40)}
