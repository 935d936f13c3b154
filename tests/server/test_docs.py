"""The API's documentation: all of it, by this server alone."""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI
from mnist_cnn.server.routes.docs import render
from starlette.testclient import TestClient

from server.conftest import MakeClient


def test_every_route_and_schema_is_there(client: TestClient) -> None:
    document, page = client.get("/openapi.json").json(), client.get("/docs").text
    for path in document["paths"]:
        assert f"<code>{path}</code>" in page
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in page
    assert "curl -X POST -F file=@digit.png http://testserver/predict" in page


def test_the_contents_are_grouped_and_break_only_before_a_slash(client: TestClient) -> None:
    contents = re.search("<nav.*?</nav>", client.get("/docs").text)
    assert contents is not None
    groups = re.findall(r"<li>([^<]+)<ul>", contents[0])
    assert groups[0] == "Predict"
    assert len(groups) == len(set(groups)) > 2
    assert "<wbr>/versions<wbr>/{version}<wbr>/infer</span></a>" in contents[0].replace("{model_version}", "{version}")


def test_examples_name_the_server_that_was_asked(client: TestClient) -> None:
    page = client.get("/docs", headers={"Host": "digits.example:9000"}).text
    assert "http://digits.example:9000/predict" in page
    assert "127.0.0.1" not in page


def test_every_link_within_leads_somewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    anchors, links = re.findall(r' id="([^"]+)"', page), re.findall(r'href="#([^"]+)"', page)
    assert len(anchors) == len(set(anchors))
    assert set(links) <= set(anchors)


def test_no_address_is_made_of_the_clients_host(client: TestClient) -> None:
    answer = client.get("/docs/", headers={"Host": "elsewhere.example"}, follow_redirects=False)
    assert answer.status_code == 404


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


def test_what_wants_a_key_says_so_and_nothing_else_does(make_client: MakeClient) -> None:
    client = make_client(api_key="0123456789abcdef-a-secret")
    paths = client.get("/openapi.json").json()["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            refused = client.request(method, path).status_code == 401
            assert ("401" in operation["responses"]) is refused, path
            assert (operation.get("security") != []) is refused, path
