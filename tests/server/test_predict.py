"""`POST /predict`: every form in which an image may come, and every mistake of a client."""

from __future__ import annotations

import base64
import io
import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from starlette.testclient import TestClient

from mnist_cnn.reading.ink import prepare
from mnist_cnn.reading.recognizer import Reason, Recognizer
from mnist_cnn.server.images import image_in
from mnist_cnn.server.problems import Problem
from mnist_cnn.server.routes.prediction import PredictAnswer
from server.conftest import MakeClient
from server.drawn import digit, drawing, file_of, text_of

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=30)


def labels(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["label"] for each in answer.json()["predictions"]]


def problem(answer: Any, status: int) -> str:
    """Check that an answer is a complete problem, and give its sentence."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "\n" not in body["detail"]
    return str(body["detail"])


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "application/octet-stream", "IMAGE/PNG; a=b"])
def test_a_file_is_read(client: TestClient, kind: str) -> None:
    for content in (file_of(digit("7")), file_of(drawing("7")), file_of(drawing("7"), "JPEG")):
        assert labels(client.post("/predict", content=content, headers={"content-type": kind})) == ["7"]


def test_files_of_a_form_are_read_in_their_order(client: TestClient) -> None:
    files = [("file", ("a.png", file_of(drawing(label)))) for label in "7107"] + [("x", ("b.png", file_of(digit("1"))))]
    assert labels(client.post("/predict", files=files)) == list("71071")


@pytest.mark.parametrize(
    "header",
    [
        'Content-Disposition: form-data; name="file"; filename="seven.png"',
        'content-type: application/octet-stream\r\ncontent-disposition: form-data; name="file"; filename=""',
    ],
)
def test_files_of_a_form_are_read_beside_other_fields(client: TestClient, header: str) -> None:
    """A comment, a switch, a file input without a choice: what pages and programs put into their forms."""
    nothing = b'--b\r\nContent-Disposition: form-data; name="other"; filename=""\r\n\r\n\r\n'
    file = b"--b\r\n" + header.encode() + b"\r\n\r\n" + file_of(drawing("7")) + b"\r\n"
    for body in (FIELD + file + nothing, nothing + file + FIELD, FIELD * 50 + file):
        answer = client.post(
            "/predict", content=body + b"--b--\r\n", headers={"content-type": "multipart/form-data; boundary=b"}
        )
        assert labels(answer) == ["7"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("head", ["", "data:image/png;base64,", "DATA:image/PNG;charset=utf-8;BASE64,"])
def test_base64_is_read_as_programs_write_it(client: TestClient, kind: str, head: str) -> None:
    file = file_of(drawing("7"), kind)
    text = base64.b64encode(file).decode()
    safe = base64.urlsafe_b64encode(file).decode()
    lines = base64.encodebytes(file).decode()
    for each in (text, safe, safe.rstrip("="), lines, lines.replace("\n", "\r\n"), lines.replace("\n", "\n    ")):
        assert labels(client.post("/predict", json={"image": head + each})) == ["7"]
    assert labels(client.post("/predict", json={"images": [f" {lines} ", text]})) == ["7", "7"]


def test_all_kinds_of_json_are_read_in_their_order(client: TestClient) -> None:
    text = text_of(drawing("1"))
    images = [
        digit("7").tolist(),
        digit("0").ravel().tolist(),
        text,
        f"data:image/png;base64,{text}",
        (drawing("7") / 255).tolist(),
        drawing("0").astype(float).tolist(),
        digit("7")[..., None].tolist(),
    ]
    assert labels(client.post("/predict", json={"images": images})) == list("7011707")
    for image, label in zip(images, "7011707", strict=True):
        assert labels(client.post("/predict", json={"image": image})) == [label]


def test_an_answer_is_what_the_recognizer_says(client: TestClient, recognizer: Recognizer) -> None:
    images = [file_of(drawing("7")), file_of(np.full((50, 50), 255, np.uint8)), file_of(drawing("1", 9), "WEBP")]
    answer = client.post("/predict?picture=true", json={"images": [base64.b64encode(each).decode() for each in images]})
    predictions = PredictAnswer.model_validate_json(answer.content, strict=True).predictions
    for image, found in zip(images, predictions, strict=True):
        expected = recognizer.read(image)
        assert (found.digit, found.label, found.accepted) == (expected.digit, expected.label, expected.accepted)
        assert found.reason == (expected.reason or None)
        assert found.confidence == pytest.approx(expected.confidence, abs=2e-6)
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=2e-6)
        assert found.picture
        np.testing.assert_array_equal(Image.open(io.BytesIO(base64.b64decode(found.picture))), prepare(image).image)
    assert [each.reason for each in predictions] == [None, "blank", None]
    assert [each.explanation for each in predictions] == [None, Reason.BLANK.text, None]
    assert "picture" not in client.post("/predict", content=images[0]).json()["predictions"][0]


def rows(value: Any) -> list[list[Any]]:
    """28×28 with one odd value."""
    image: list[list[Any]] = digit("7").tolist()
    image[3][4] = value
    return image


MISTAKES: dict[str, tuple[Any, int, str]] = {
    "nothing": (b"", 400, "empty"),
    "half": (b'{"image": [[0, 1', 400, "not JSON"),
    "NaN": (b'{"image": [[NaN]]}', 400, "not JSON"),
    "deep": (b'{"image": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "not JSON"),
    "too many values": (b'{"image": [' + b"0," * 1_000_001 + b"0]}", 413, "more than 1,000,000 values"),
    "a list": ([1, 2], 422, "wrong form"),
    "no image": ({}, 422, "wrong form"),
    "both": ({"image": "", "images": []}, 422, "wrong form"),
    "images no list": ({"images": "abcd"}, 422, "wrong form"),
    "no images": ({"images": []}, 422, "no image"),
    "an object": ({"images": [rows(0), {"a": 1}]}, 422, "images[1] is neither text nor a list"),
    "empty rows": ({"image": [[], []]}, 422, "empty"),
    "uneven": ({"image": [[0, 1], [2]]}, 422, "different lengths"),
    "mixed depth": ({"image": [[0, 1], 2]}, 422, "not a number"),
    "three channels": ({"image": [[[0, 0, 0]] * 28] * 28}, 422, "shape 28×28×3"),
    "too deep": ({"image": [[[[0]], [[1]]]]}, 422, "shape 1×2×1×1"),
    "783 values": ({"image": [0] * 783}, 422, "shape 783"),
    "boolean pixels": ({"image": rows(True)}, 422, "not a number"),
    "huge integer": ({"image": rows(10**400)}, 422, "out of range"),
    "infinite": (json.dumps({"image": rows(5)}).replace(" 5,", " 1e999,", 1).encode(), 422, "to inf"),
    "negative": ({"image": rows(-1)}, 422, "from -1"),
    "above 255": ({"image": rows(255.5)}, 422, "to 255.5"),
    "a path": ({"image": "/home/me/my digit.png"}, 422, "not base64"),
    "not ASCII": ({"image": "äöü"}, 422, "not base64"),
    "spaced base64": ({"image": "aGVs bG8="}, 422, "not base64"),
    "not base64 data": ({"image": "data:image/png,abc"}, 422, "not base64"),
    "empty data": ({"image": "data:;base64,"}, 422, "cannot be read"),
    "second of two": ({"images": [text_of(digit("7")), "aGVsbG8="]}, 422, "image 2 of 2: this image cannot be read"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_json_is_explained(client: TestClient, name: str) -> None:
    body, status, words = MISTAKES[name]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post("/predict", content=content, headers={"content-type": "application/json"})
    assert words in problem(answer, status)


@pytest.mark.parametrize("content", [b"hello", b"\x89PNG\r\n\x1a\n", file_of(drawing("7"))[:200], b"<svg></svg>"])
def test_a_file_that_is_not_an_image_is_refused(client: TestClient, content: bytes) -> None:
    assert "this image" in problem(client.post("/predict", content=content), 422)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "x", "ä"])
def test_another_type_is_refused(client: TestClient, kind: str) -> None:
    answer = client.post("/predict", content=b"a", headers={"content-type": kind.encode()})
    assert "Send an image file" in problem(answer, 415)


FIELD = b'--b\r\nContent-Disposition: form-data; name="comment"\r\n\r\nmy seven\r\n'
FORM = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nx\r\n--b--\r\n'


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (FORM, "multipart/form-data", 400, "Missing boundary"),
        (FORM, "multipart/form-data; boundary=c", 400, "form"),
        (FORM[:-8], "multipart/form-data; boundary=b", 400, "cut off"),
        (b"--b--\r\n", "multipart/form-data; boundary=b", 422, "no image"),
        (FORM.replace(b'; filename="f"', b""), "multipart/form-data; boundary=b", 422, "no image"),
        (FORM.replace(b"Content-Disposition", b"X"), "multipart/form-data; boundary=b", 400, "cannot be read"),
        (FORM.replace(b'"f"\r\n\r\nx', b'""\r\n\r\n'), "multipart/form-data; boundary=b", 422, "no image"),
        (FIELD * 101 + FORM, "multipart/form-data; boundary=b", 413, "Too many fields"),
        (FORM, "multipart/form-data; boundary=b", 422, "cannot be read"),
    ],
)
def test_a_damaged_form_is_refused(client: TestClient, body: bytes, kind: str, status: int, words: str) -> None:
    assert words in problem(client.post("/predict", content=body, headers={"content-type": kind}), status)


def test_too_many_images_are_refused(make_client: MakeClient) -> None:
    client = make_client(max_images=2)
    seven = text_of(digit("7"))
    assert labels(client.post("/predict", json={"images": [seven] * 2})) == ["7", "7"]
    assert "limit is 2" in problem(client.post("/predict", json={"images": [seven] * 3}), 413)
    files = [("file", ("a.png", b"x"))] * 3
    assert "Too many files" in problem(client.post("/predict", files=files), 413)


def test_another_query_method_or_address_is_refused(client: TestClient) -> None:
    assert "?picture=true" in problem(client.post("/predict?picture=maybe", content=b"a"), 422)
    assert "Valid: POST" in problem(client.get("/predict"), 405)
    assert "/docs" in problem(client.post("/nothing"), 404)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.sampled_from(["image", "images", "x"]), inner),
        max_leaves=30,
    )
)
def test_no_json_causes_a_server_error(client: TestClient, value: Any) -> None:
    for body in (value, {"image": value}, {"images": [value]}):
        answer = client.post(
            "/predict", content=json.dumps(body).encode(), headers={"content-type": "application/json"}
        )
        assert answer.status_code in (200, 400, 422)
        assert answer.status_code == 200 or problem(answer, answer.status_code)


def test_the_example_of_the_documentation_works(client: TestClient) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    assert labels(client.post("/predict", json=example)) == ["7", "7"]


@given(arrays.arrays(np.uint8, SHAPES) | arrays.arrays(np.float64, SHAPES, elements=st.floats(0, 255)))
def test_pixels_stay_as_they_are(pixels: np.ndarray) -> None:
    found = image_in(pixels.tolist())
    assert isinstance(found, np.ndarray)
    assert found.dtype == pixels.dtype
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("text", ["a" + " " * 5_000_000 + "a", "\n " * 2_500_000, "data:;" * 900_000 + ","])
def test_no_text_takes_long_to_be_refused(text: str) -> None:
    began = time.process_time()
    with pytest.raises(Problem) as caught:
        image_in(text + "secret!")
    assert time.process_time() - began < 1
    assert "secret" not in caught.value.detail


def test_files_of_a_form_never_touch_the_disk(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("a file was spooled to the disk")

    monkeypatch.setattr("tempfile.TemporaryFile", fail)
    large = file_of(drawing("7")) + bytes(3 * 2**20)
    client.post("/predict", files={"file": ("a.png", large)})
    assert labels(client.post("/predict", files={"file": ("a.png", file_of(drawing("7")))})) == ["7"]
