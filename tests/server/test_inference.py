"""The Open Inference Protocol: requests of Triton's own client, and invalid ones."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from numpy.typing import NDArray
from starlette.testclient import TestClient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from mnist_cnn.datasets import load_dataset
from mnist_cnn.reading.recognizer import Recognizer, read_model_file
from mnist_cnn.server.model_facts import name_model
from server.conftest import MakeClient
from server.live import LiveServer

INFER = "/v2/models/digits/infer"
LENGTH = "Inference-Header-Content-Length"
BOMB = 50_000_000  # bytes, of which gzip makes 50 kB


@pytest.fixture(scope="module")
def server(shared_server: LiveServer) -> Iterator[triton.InferenceServerClient]:
    """Triton's client of a real server."""
    with triton.InferenceServerClient(f"127.0.0.1:{shared_server.port}", concurrency=4) as client:
        yield client


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    """Twelve digits as large as MNIST's, half of them two pixels off the centre, uint8 [12, 28, 28, 1].

    All go to the network as they are, if they are known to be grey levels; `ink` would centre the latter six.
    """
    images = load_dataset("digits").images[:12, ..., np.newaxis]
    return np.concatenate([images[:6], np.roll(images[6:], (2, 2), (1, 2))])


def tensor(array: NDArray[Any], binary: bool = True, name: str = "image") -> triton.InferInput:
    given = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    given.set_data_from_numpy(array, binary_data=binary)
    return given


def wanted(binary: bool, *names: str) -> list[triton.InferRequestedOutput]:
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


def binary_body(array: NDArray[Any], **changes: Any) -> tuple[bytes, dict[str, str]]:
    """A request with binary data, and its headers; `changes` to its input."""
    body, length = triton.InferenceServerClient.generate_request_body([tensor(array)])
    head, tail = json.loads(body[:length]), body[length:]
    head["inputs"][0] |= changes
    text = json.dumps(head).encode()
    return text + tail, {LENGTH: str(len(text))}


def json_body(**changes: Any) -> dict[str, Any]:
    """A request with one image in JSON; `changes` to its input."""
    image = {"name": "image", "shape": [1, 784], "datatype": "UINT8", "data": [0] * 784}
    return {"inputs": [image | changes]}


def test_the_server_and_its_model_describe_themselves(server: triton.InferenceServerClient) -> None:
    assert server.is_server_live()
    assert server.is_server_ready()
    assert server.is_model_ready("digits")
    assert server.is_model_ready("digits", "1")
    assert not server.is_model_ready("digits", "2")
    assert not server.is_model_ready("letters")
    assert {"binary_tensor_data", "classification"} < set(server.get_server_metadata()["extensions"])
    assert server.get_model_repository_index() == [{"name": "digits", "version": "1", "state": "READY", "reason": ""}]
    metadata = server.get_model_metadata("digits", "1")
    assert metadata["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 28, 28, 1]}]
    assert [(each["name"], each["datatype"], each["shape"]) for each in metadata["outputs"]] == [
        ("probabilities", "FP32", [-1, 10]),
        ("digit", "INT64", [-1]),
        ("accepted", "BOOL", [-1]),
    ]
    config = server.get_model_config("digits")
    assert config["max_batch_size"] == 256
    assert config["input"][0]["dims"] == [28, 28, 1]
    assert [each["name"] for each in config["output"]] == [each["name"] for each in metadata["outputs"]]


@pytest.mark.parametrize("binary_output", [True, False])
@pytest.mark.parametrize("binary_input", [True, False])
@pytest.mark.parametrize(
    ("layout", "dtype"),
    [((28, 28, 1), np.float32), ((1, 28, 28), np.uint8), ((784,), np.uint8)],
)
def test_results_are_the_recognizers_bit_for_bit(
    server: triton.InferenceServerClient,
    recognizer: Recognizer,
    digits: NDArray[np.uint8],
    dtype: type[Any],
    layout: tuple[int, ...],
    binary_input: bool,
    binary_output: bool,
) -> None:
    given = tensor(digits.reshape(-1, *layout).astype(dtype), binary_input)
    outputs = wanted(binary_output, "digit", "accepted", "probabilities")
    result = server.infer("digits", [given], outputs=outputs, request_id="q 7/é")
    expected = [recognizer.read(image) for image in digits]
    probabilities = result.as_numpy("probabilities")
    assert probabilities.dtype == np.float32
    np.testing.assert_array_equal(probabilities, recognizer.predict_proba(digits))
    assert result.as_numpy("digit").tolist() == [each.digit for each in expected]
    assert result.as_numpy("accepted").tolist() == [each.accepted for each in expected]
    answer = result.get_response()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("q 7/é", "digits", "1")
    assert [each["name"] for each in answer["outputs"]] == ["digit", "accepted", "probabilities"]


@pytest.mark.parametrize("binary", [True, False])
def test_images_unlike_mnist_are_prepared_first(
    server: triton.InferenceServerClient, recognizer: Recognizer, digits: NDArray[np.uint8], binary: bool
) -> None:
    """Dark ink, ink in a corner, floats up to 1; each image is prepared independently of the others."""
    images = digits[:6].astype(np.float32)
    images[1] = 255 - images[1]
    images[2] /= 255
    images[3] = np.roll(images[3], (-3, 4), (0, 1))
    images[4] = 0
    images[5] = images[5] * np.float32(0.7) + np.float32(0.1)
    result = server.infer("digits", [tensor(images, binary)])
    assert [each["name"] for each in result.get_response()["outputs"]] == ["probabilities", "digit", "accepted"]
    whole = [image.astype(np.uint8) if (image == np.rint(image)).all() else image for image in images]
    np.testing.assert_array_equal(result.as_numpy("probabilities"), recognizer.predict_proba(whole))
    assert not result.as_numpy("accepted")[4]


@pytest.mark.parametrize("binary", [True, False])
def test_classification_names_the_best_classes(
    server: triton.InferenceServerClient, recognizer: Recognizer, digits: NDArray[np.uint8], binary: bool
) -> None:
    outputs = [triton.InferRequestedOutput("probabilities", binary_data=binary, class_count=3)]
    ranked = server.infer("digits", [tensor(digits)], outputs=outputs).as_numpy("probabilities")
    assert ranked.shape == (12, 3)
    for texts, row in zip(ranked, recognizer.predict_proba(digits), strict=True):
        parts = [(text.decode() if binary else text).split(":") for text in texts]
        best = sorted(range(10), key=lambda index: -row[index])[:3]
        assert [int(index) for _, index, _ in parts] == best
        assert [label for _, _, label in parts] == [recognizer.class_names[index] for index in best]
        assert [float(value) for value, _, _ in parts] == pytest.approx(row[best], abs=1e-6)


def test_many_requests_at_once_keep_their_answers(
    server: triton.InferenceServerClient, recognizer: Recognizer, digits: NDArray[np.uint8]
) -> None:
    asked = [server.async_infer("digits", [tensor(digits[place : place + 1])]) for place in range(12)]
    for place, each in enumerate(asked):
        expected = recognizer.predict_proba(digits[place : place + 1])
        # Read together with others, a product's sums may be taken in another order.
        np.testing.assert_allclose(each.get_result().as_numpy("probabilities"), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests_are_read(
    server: triton.InferenceServerClient, recognizer: Recognizer, digits: NDArray[np.uint8], algorithm: str
) -> None:
    result = server.infer("digits", [tensor(digits)], request_compression_algorithm=algorithm)
    np.testing.assert_array_equal(result.as_numpy("probabilities"), recognizer.predict_proba(digits))


def test_errors_are_sentences_in_tritons_exception(
    server: triton.InferenceServerClient, digits: NDArray[np.uint8]
) -> None:
    image = tensor(digits)
    cases: list[tuple[Callable[[], object], str, str]] = [
        (lambda: server.infer("letters", [image]), "404", "unknown model 'letters'. Valid: digits."),
        (lambda: server.get_model_metadata("digits", "7"), "404", "unknown version '7' of this model. Valid: 1."),
        (lambda: server.infer("digits", [image], outputs=wanted(True, "probs")), "400", "Did you mean 'probabilities'"),
        (lambda: server.infer("digits", [image], outputs=wanted(True, "digit", "digit")), "400", "named twice"),
        (lambda: server.infer("digits", [tensor(digits, name="x")]), "400", "inputs[0].name: input should be 'image'"),
        (lambda: server.infer("digits", [image, image]), "400", "at most 1 item"),
        (lambda: server.infer("digits", [tensor(digits.astype(np.float64))]), "400", "should be 'FP32' or 'UINT8'"),
        (lambda: server.infer("digits", [tensor(digits[0])]), "400", "Valid: [n, 28, 28, 1],"),
        (lambda: server.infer("digits", [tensor(digits[:0])]), "400", "0 images. Valid: 1 to 256"),
        (lambda: server.infer("digits", [tensor(np.zeros((257, 784), np.uint8))]), "400", "257 images"),
        (lambda: server.infer("digits", [tensor(digits / np.float32("nan"))]), "400", "NaN"),
        (lambda: server.infer("digits", [tensor(digits * np.float32(-1))]), "400", "image 1 of 12: the array"),
        (lambda: server.load_model("digits"), "404", "this address does not exist"),
    ]
    for call, status, sentence in cases:
        with pytest.raises(InferenceServerException) as caught:
            call()
        assert caught.value.status() == status, sentence
        assert sentence in caught.value.message()


def test_shared_memory_and_rankings_of_nothing_are_refused(
    server: triton.InferenceServerClient, digits: NDArray[np.uint8]
) -> None:
    shared = triton.InferInput("image", [1, 28, 28, 1], "UINT8")
    shared.set_shared_memory("region", 784)
    with pytest.raises(InferenceServerException, match="shared memory is not supported"):
        server.infer("digits", [shared])
    for name, count, sentence in [("digit", 1, "cannot be ranked"), ("probabilities", 11, "Valid: 1 to 10")]:
        output = triton.InferRequestedOutput(name, class_count=count)
        with pytest.raises(InferenceServerException, match=sentence):
            server.infer("digits", [tensor(digits)], outputs=[output])


def test_a_raw_body_is_one_image(client: TestClient, recognizer: Recognizer, digits: NDArray[np.uint8]) -> None:
    """Without any JSON, as `curl --data-binary` sends a file."""
    answer = client.post(INFER, content=digits[0].astype("<f4").tobytes(), headers={LENGTH: "0"})
    result = triton.InferResult.from_response_body(answer.content, header_length=int(answer.headers[LENGTH]))
    np.testing.assert_array_equal(result.as_numpy("probabilities"), recognizer.predict_proba(digits[0]))
    answer = client.post(INFER, content=b"7" * 784, headers={LENGTH: "0"})
    assert answer.status_code == 400
    assert answer.json()["error"] == "FP32 of shape [1, 28, 28, 1] needs 3136 bytes, but 784 came."


def test_additions_of_other_clients_are_accepted(client: TestClient) -> None:
    """Nulls for absent values and content types, as MLServer's client sends; the name of the model."""
    for parameters in (None, {"content_type": "pd", "headers": {"a": ["b"]}, "priority": 0, "timeout": None, "": [1]}):
        request = json_body(parameters=parameters) | {
            "id": None,
            "model_name": "digits",
            "parameters": parameters,
            "outputs": [{"name": "accepted", "parameters": parameters}],
        }
        answer = client.post(INFER, json=request)
        assert answer.status_code == 200, answer.text
        assert answer.json()["outputs"] == [{"name": "accepted", "datatype": "BOOL", "shape": [1], "data": [False]}]
    answer = client.post(INFER, json=json_body() | {"outputs": None})
    assert answer.json()["outputs"][2] == {"name": "accepted", "datatype": "BOOL", "shape": [1], "data": [False]}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "not JSON"),
        (b"[]", "the request: input should be"),
        (b"{}", "inputs: field required. See /docs"),
        (b'{"inputs": []}', "at least 1 item"),
        (json.dumps(json_body(data=None)).encode(), "either data or the parameter binary_data_size"),
        (json.dumps(json_body(data=None, parameters={"binary_data_size": 784})).encode(), "0 bytes follow"),
        (json.dumps(json_body(data=None, parameters={"binary_data_size": -1})).encode(), "binary_data_size"),
        (json.dumps(json_body(shape=[1 << 70, 784])).encode(), "images. Valid: 1 to 256"),
        (json.dumps(json_body(shape=[1, -784])).encode(), "inputs[0].shape[1]"),
        (json.dumps(json_body(shape=[1] * 100)).encode(), "inputs[0].shape"),
        (json.dumps(json_body(data=[0] * 783)).encode(), "783 elements, but the shape has 784"),
        (json.dumps(json_body(data=[300] * 784)).encode(), "not UINT8"),
        (json.dumps(json_body(data=["7"] * 784)).encode(), "not UINT8"),
        (json.dumps(json_body() | {"id": "7" * 2000}).encode(), "id: string should have at most"),
    ],
)
def test_a_malformed_request_is_explained(client: TestClient, body: bytes, sentence: str) -> None:
    answer = client.post(INFER, content=body)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]
    assert list(answer.json()) == ["error"]


def test_binary_data_must_be_as_long_as_they_say(client: TestClient, digits: NDArray[np.uint8]) -> None:
    body, headers = binary_body(digits)
    for content, length, sentence in [
        (body[:-1], headers[LENGTH], "bytes follow the JSON"),
        (body, str(len(body) + 1), "is not valid"),
        (body, "-1", "is not valid"),
        (body, None, "not JSON"),
    ]:
        answer = client.post(INFER, content=content, headers={LENGTH: length} if length else {})
        assert answer.status_code == 400
        assert sentence in answer.json()["error"]
    lying, headers = binary_body(digits, shape=[11, 28, 28, 1])
    assert "needs 8624 bytes, but 9408 came" in client.post(INFER, content=lying, headers=headers).json()["error"]


def test_compression_is_limited_and_must_be_whole(make_client: MakeClient) -> None:
    client = make_client(max_body=100_000)
    plain = json.dumps(json_body()).encode()
    for content, encoding, status in [
        (gzip.compress(plain), "gzip", 200),
        (zlib.compress(plain), "DEFLATE", 200),
        (plain, "identity", 200),
        (gzip.compress(bytes(BOMB)), "gzip", 413),
        (gzip.compress(plain)[:-1], "gzip", 400),
        (gzip.compress(plain) + b"x", "gzip", 400),
        (zlib.compress(plain), "gzip", 400),
        (plain, "br", 415),
    ]:
        tracemalloc.start()
        answer = client.post(INFER, content=content, headers={"Content-Encoding": encoding})
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
        tracemalloc.stop()
        assert answer.status_code == status, encoding
        assert status == 200 or list(answer.json()) == ["error"]


def test_all_refusals_have_the_protocols_form(make_client: MakeClient) -> None:
    client = make_client(max_body=4000, api_key="a-key-of-twenty-bytes")
    missing = client.post(INFER, json=json_body())
    client.headers["X-API-Key"] = "a-key-of-twenty-bytes"
    large = client.post(INFER, content=bytes(4001))
    client.app.state.service.reader.pending = 512  # type: ignore[attr-defined]
    answers = [missing, large, client.post(INFER, json=json_body()), client.get(INFER), client.get("/v2/nothing")]
    assert [answer.status_code for answer in answers] == [401, 413, 503, 405, 404]
    assert [list(answer.json()) for answer in answers] == [["error"]] * 5
    assert answers[2].headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (None, "digits"),
        (Path("models/mine.onnx"), "mine"),
        (Path("runs/conv3-seed0-001/exports/model.onnx"), "conv3-seed0-001"),
        (Path("/exports/model.onnx"), "model"),
    ],
)
def test_a_model_is_called_after_its_file_or_run(path: Path | None, name: str) -> None:
    assert name_model(path) == name


def test_the_name_stays_when_the_folder_is_renamed(
    make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "quick-seed0-001"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(read_model_file(None)[0])
    monkeypatch.chdir(folder)
    client = make_client(model=Path())
    monkeypatch.chdir(tmp_path)
    folder.rename(tmp_path / "elsewhere")
    assert client.get("/v2/models/quick-seed0-001").status_code == 200


@pytest.mark.parametrize(("path", "form"), [("/digits/v2/none", "error"), ("/digits/v2x", "type"), ("/v2x", "type")])
def test_errors_have_the_protocols_form_below_v2_alone(client: TestClient, path: str, form: str) -> None:
    behind_a_proxy = TestClient(client.app, root_path="/digits")
    assert next(iter(behind_a_proxy.get(path).json())) == form
