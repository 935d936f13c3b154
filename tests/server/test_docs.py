"""The API's documentation: all of it, by this server alone."""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from mnist_cnn.server.routes.docs import render
from server.conftest import MakeClient


def test_every_route_and_schema_is_there(client: TestClient) -> None:
    document, page = client.get("/openapi.json").json(), client.get("/docs").text
    for path in document["paths"]:
        assert f"<code>{path}</code>" in page
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in page
    assert "curl -X POST -F file=@digit.png http://testserver/predict" in page


def test_every_link_within_leads_somewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    anchors, links = re.findall(r' id="([^"]+)"', page), re.findall(r'href="#([^"]+)"', page)
    assert len(anchors) == len(set(anchors))
    assert set(links) <= set(anchors)


def test_its_files_are_this_servers(client: TestClient) -> None:
    addresses = re.findall(r'(?:src|href)="([^"#]+)"', client.get("/docs").text)
    for address in set(addresses):
        assert client.get(f"/{address}").status_code == 200, address


@pytest.mark.parametrize("host", ["<script>", "a b", "[", "", "x" * 20 + "@y"])
def test_a_strange_host_is_not_repeated(client: TestClient, host: str) -> None:
    page = client.get("/docs", headers={"Host": host})
    assert page.status_code == 200
    assert "curl http://localhost/" in page.text


def test_what_a_document_says_is_text_and_no_markup() -> None:
    app = FastAPI(title="<b>")

    @app.get("/<i>", summary="<u>", description="a `<s>` b")
    def route(query: int = 0) -> dict[str, str]:
        return {}

    page = render(app.openapi(), "http://localhost")
    assert "<code>&lt;s&gt;</code>" in page
    assert not re.search(r"<[bius]>(?!GET)", page)


def test_examples_bring_the_key_where_one_is_wanted(make_client: MakeClient) -> None:
    assert "X-API-Key: …" in make_client(api_key="k" * 16).get("/docs").text
    assert "X-API-Key: …" not in make_client().get("/docs").text
