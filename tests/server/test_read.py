"""`POST /read`: whole numbers. `/predict`'s tests are about the forms of bodies, which both routes share."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from starlette.testclient import TestClient

from mnist_cnn.reading.numbers import NumberReader, NumberReason
from mnist_cnn.server.application import create_app
from mnist_cnn.server.routes.numbers import ReadAnswer
from mnist_cnn.server.settings import Settings
from reading.numbers import bars
from server.conftest import MakeClient, MakeServer
from server.drawn import digit, file_of, text_of
from server.test_predict import problem

PICTURE = bars.line("48213", padding=8)
FILE = file_of(PICTURE)


@pytest.fixture(scope="module")
def numbers(bars_model: Path) -> NumberReader:
    return NumberReader.load(bars_model, threads=1)


@pytest.fixture(scope="module")
def client(bars_model: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(number_model=bars_model))) as client:
        yield client


def texts(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [reading["text"] for reading in answer.json()["readings"]]


def test_an_answer_is_what_the_reader_says(client: TestClient, numbers: NumberReader) -> None:
    images = [FILE, file_of(bars.line("7", padding=20)), file_of(digit("1"), "JPEG")]
    answer = client.post("/read", files=[("file", ("x", image)) for image in images])
    found = ReadAnswer.model_validate_json(answer.content)
    for image, reading in zip(images, found.readings, strict=True):
        expected = numbers.read(image)
        assert (reading.text, reading.accepted) == (expected.text, expected.accepted)
        assert reading.confidence == pytest.approx(expected.confidence, abs=1e-6)
        assert reading.reason == (expected.reason or None)
        assert reading.explanation == (NumberReason(expected.reason).text if expected.reason else None)
        assert [each.text for each in reading.digits] == list(expected.text)
        for each, digit_expected in zip(reading.digits, expected.digits, strict=True):
            assert each.confidence == pytest.approx(digit_expected.confidence, abs=1e-6)
            assert each.box.left == pytest.approx(digit_expected.box.left, abs=0.06)
    assert found.model.threshold == numbers.threshold
    assert found.model.model_dump() == client.get("/model").json()["numbers"]


def test_a_number_may_be_known_in_part(client: TestClient, numbers: NumberReader) -> None:
    """In the query, in a form or in JSON; empty fields of forms count as absent."""
    text, form = text_of(PICTURE), {"file": ("x", FILE)}
    for length, pattern in (("4", None), ("2-3", None), (None, "(07)?9\\d*"), ("3", "[1-9]*")):
        expected = numbers.read(FILE, length=length, pattern=pattern).text
        known = {"length": length, "pattern": pattern}
        given_ = {name: value for name, value in known.items() if value}
        filled = {name: value or "" for name, value in known.items()}
        for answer in (
            client.post("/read", content=FILE, params=given_),
            client.post("/read", files=form, params=filled),
            client.post("/read", files=form, data=filled),
            client.post("/read", json={"images": [text], **known}),
            client.post("/read", json={"image": text, **given_}),
        ):
            assert texts(answer) == [expected]
    for form_of_four in (4, [4, 4], "4-4"):
        (found,) = texts(client.post("/read", json={"image": text, "length": form_of_four}))
        assert len(found) == 4


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "length 0": ({"length": 0}, "length = '0' is not valid. Valid: a number of digits from 1 to 200"),
    "true": ({"length": True}, "length = true is not valid. Valid: a number of digits"),
    "true in a range": ({"length": [True, 5]}, "length = [true, 5] is not valid"),
    "true for a pattern": ({"pattern": True}, "pattern = true is not text. Give a regular expression"),
    "many lengths": ({"length": [[1]] * 10_000}, "is not valid"),
    "reversed": ({"length": "6-3"}, "length = '6-3' is not valid"),
    "no expression": ({"pattern": "[1-"}, "cannot be read"),
    "no text": ({"pattern": ["1"] * 10_000}, "is not text"),
    "no digits": ({"pattern": "hello"}, "matches no number"),
    "nothing of that length": ({"length": 3, "pattern": "12"}, "matches no number of 3 digits"),
    "long": ({"pattern": "1" * 100_000}, "100,000 characters; at most 1,000"),
    "large": ({"pattern": "((((1{9}){9}){9}){9}){9}"}, "too complex"),
    "exponential": ({"pattern": "[01]*1[01]{30}"}, "too complex"),
    "deep": ({"pattern": "(" * 499 + ")" * 499}, "nested too deeply"),
    "deep inside": ({"pattern": "(" * 200 + "1" + ")" * 200}, "nested too deeply"),
    "surrogate": ({"pattern": "\ud800"}, ""),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_about_the_number_is_explained(client: TestClient, name: str) -> None:
    known, words = MISTAKES[name]
    answer = client.post(
        "/read",
        content=json.dumps({"image": text_of(PICTURE), **known}).encode(),
        headers={"content-type": "application/json"},
    )
    if name == "surrogate" and answer.status_code == 400:  # this is not JSON
        return
    detail = problem(answer, 422)
    assert words in detail
    assert len(detail) < 500


def test_other_mistakes_are_explained(client: TestClient) -> None:
    both = client.post("/read?length=4", json={"image": text_of(PICTURE), "length": 4})
    assert "length is both in the query and in the body" in problem(both, 422)
    other = client.post("/read", json={"image": text_of(PICTURE), "lenght": 4})
    assert problem(other, 422) == (
        "'lenght' is not a field of this JSON. Did you mean 'length'? Valid: image, images, length, pattern."
    )
    known = client.post("/predict", json={"image": text_of(PICTURE), "length": 4})
    assert "'length' is not a field of this JSON. Valid: image, images." in problem(known, 422)
    thin = client.post("/read", content=file_of(np.zeros((1, 200), np.uint8)))
    assert "200 times as wide as high" in problem(thin, 422)
    assert "this image" in problem(client.post("/read", content=b"hello"), 422)
    assert "Valid: POST" in problem(client.get("/read"), 405)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    length=st.none() | st.text(max_size=8) | st.integers() | st.floats() | st.lists(st.integers(), max_size=3),
    pattern=st.none() | st.text(max_size=12) | st.text("01d\\[](){}*+?|^$-,&~.", max_size=20) | st.integers(),
)
def test_no_length_or_pattern_causes_a_server_error(client: TestClient, length: Any, pattern: Any) -> None:
    body = json.dumps({"image": text_of(PICTURE), "length": length, "pattern": pattern}).encode()
    answer = client.post("/read", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400, 422)
    assert answer.status_code == 200 or len(problem(answer, answer.status_code)) < 500


def test_the_limits_and_the_key_are_those_of_predict(make_client: MakeClient, bars_model: Path) -> None:
    key = SecretStr("correct-horse-battery")
    client = make_client(number_model=bars_model, max_images=2, api_key=key, max_pixels=1000)
    assert problem(client.post("/read", content=FILE), 401)
    client.headers["x-api-key"] = key.get_secret_value()
    image = text_of(PICTURE)
    assert "limit is 2" in problem(client.post("/read", json={"images": [image] * 3}), 413)
    assert "at most 1,000" in problem(client.post("/read", content=FILE), 422)


def test_another_threshold_is_used(make_client: MakeClient, bars_model: Path) -> None:
    for threshold in (0.0, 1.0):
        answer = make_client(number_model=bars_model, number_threshold=threshold).post("/read", content=FILE).json()
        (reading,) = answer["readings"]
        assert reading["accepted"] == (reading["confidence"] >= threshold)
        assert answer["model"]["threshold"] == threshold


def test_numbers_are_counted_by_their_outcome(client: TestClient) -> None:
    def count() -> float:
        families = text_string_to_metric_families(client.get("/metrics").text)
        return sum(
            each.value for family in families for each in family.samples if each.name == "mnist_cnn_numbers_total"
        )

    before = count()
    client.post("/read", files=[("file", ("x", FILE))] * 3)
    assert count() == before + 3


def test_the_example_of_the_documentation_works(make_client: MakeClient) -> None:
    client = make_client()  # with the included weights
    operation = client.get("/openapi.json").json()["paths"]["/read"]["post"]
    assert {each["name"] for each in operation["parameters"]} == {"length", "pattern"}
    example = operation["requestBody"]["content"]["application/json"]["example"]
    assert texts(client.post("/read", json=example)) == ["710", "710"]


@pytest.mark.slow
def test_a_real_server_reads_numbers(live_server: MakeServer, bars_model: Path, numbers: NumberReader) -> None:
    server = live_server(number_model=bars_model, workers=2)
    picture = io.BytesIO()
    Image.fromarray(PICTURE).resize((1200, 400)).save(picture, "JPEG")
    answers = [
        httpx.post(f"{server.url}/read", params={"length": "4"}, content=picture.getvalue(), timeout=30)
        for _ in range(8)
    ]
    expected = numbers.read(picture.getvalue(), length=4).text
    assert [texts(answer) for answer in answers] == [[expected]] * 8
    assert server.stop() == 0
    assert "Traceback" not in server.output


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([("lenght", "5")], "'lenght' is not a field of this form. Did you mean 'length'? Valid: length, pattern."),
        ([("length", "5"), ("length", "6")], "the form has the field 'length' twice. Send it once."),
        ([("image", "5")], "the field 'image' of this form contains text, not a file. With curl, write @"),
    ],
)
def test_a_misspelt_or_repeated_field_of_a_form_is_refused(
    client: TestClient, fields: list[tuple[str, str]], words: str
) -> None:
    parts = [
        ("file", ("a.png", file_of(bars.line("48", padding=8)), "image/png")),
        *((n, (None, v)) for n, v in fields),
    ]
    answer = client.post("/read", files=parts)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (
            "/read?lenght=5",
            "'lenght' is not a parameter of this query. Did you mean 'length'? Valid: length, pattern.",
        ),
        ("/read?picture=true", "'picture' is not a parameter of this query. Valid: length, pattern."),
        ("/read?length=5&length=6", "the query has the parameter 'length' twice. Send it once."),
        ("/predict?pictures=true", "Did you mean 'picture'? Valid: picture."),
        ("/predict?picture=true&picture=false", "the query has the parameter 'picture' twice"),
        ("/predict?lenght", "'lenght' is not a parameter of this query"),
        (f"/predict?{'x' * 5000}=1", "is not a parameter of this query"),
    ],
)
def test_a_misspelt_or_repeated_parameter_of_the_query_is_refused(client: TestClient, address: str, words: str) -> None:
    detail = problem(client.post(address, content=FILE), 422)
    assert words in detail
    assert len(detail) < 300


@pytest.mark.parametrize("route", ["/read", "/predict"])
def test_a_forgotten_at_sign_of_curl_is_explained(client: TestClient, route: str) -> None:
    answer = client.post(route, files=[("file", (None, "5"))])  # curl -F file=5
    assert problem(answer, 422) == (
        "the field 'file' of this form contains text, not a file. With curl, write @ before the file's name: "
        "-F file=@NAME"
    )
