"""The codec of the Open Inference Protocol: whatever comes, tensors or one clean error."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnist_cnn.server.inference import tensors
from mnist_cnn.server.inference.tensors import ProtocolError

SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4)
ODD_SHAPES = st.lists(st.integers(-(2**65), 2**65) | st.integers(-1, 30), max_size=12)
DATATYPES = st.sampled_from(["FP32", "UINT8", "INT64"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def array_of(datatype: str, shape: list[int]) -> NDArray[Any]:
    dtype = {"FP32": np.float32, "UINT8": np.uint8, "INT64": np.int64, "BOOL": np.bool_}[datatype]
    return np.random.default_rng(1).integers(0, 255, shape).astype(dtype)


def check_message(error: ProtocolError) -> None:
    assert "\n" not in str(error)
    assert len(str(error)) < 500


@given(DATATYPES, SHAPES)
def test_binary_data_come_back_bit_for_bit_and_without_a_copy(datatype: str, shape: list[int]) -> None:
    array = array_of(datatype, shape)
    raw = tensors.to_bytes(array)
    again = tensors.from_bytes(memoryview(raw), datatype, shape)
    assert again.tobytes() == array.tobytes()
    assert again.dtype == array.dtype
    assert np.shares_memory(again, np.frombuffer(raw, np.uint8))


@given(DATATYPES, SHAPES, st.booleans())
def test_json_comes_back_bit_for_bit_flat_or_nested(datatype: str, shape: list[int], nested: bool) -> None:
    array = array_of(datatype, shape) / (np.float32(7) if datatype == "FP32" else 1)
    array = array.astype(array_of(datatype, [1]).dtype)
    text = json.dumps(array.tolist() if nested else tensors.to_list(array))
    again = tensors.from_list(json.loads(text), datatype, shape)
    assert again.tobytes() == array.tobytes()
    assert again.shape == array.shape


def test_texts_are_written_with_their_lengths_in_bytes() -> None:
    texts = np.array([["0.9:7:sieben", "0.1:1:été"]], np.object_)
    assert tensors.datatype_of(texts) == "BYTES"
    assert tensors.to_bytes(texts) == b"\x0c\0\0\x000.9:7:sieben\x0b\0\0\x000.1:1:\xc3\xa9t\xc3\xa9"
    assert tensors.to_bytes(np.array(["\ud800"], np.object_)) == b"\x01\x00\x00\x00?"  # half of a character


def test_a_body_is_joined_as_it_is_split() -> None:
    body, length = tensors.join_body({"a": 1}, [b"xy", b"z"])
    text, binary = tensors.split_body(body, str(length))
    assert tensors.json_of(text, 10) == {"a": 1}
    assert bytes(binary) == b"xyz"


@given(st.binary(max_size=20), st.none() | st.text(max_size=25) | st.integers(-5, 30).map(str))
@example(b"{}", "²")
@example(b"{}", "9" * 10_000)
@example(b"{}", "+1")
@example(b"{}", "1_0")
def test_any_header_length_splits_or_is_refused(body: bytes, header_length: str | None) -> None:
    try:
        text, binary = tensors.split_body(body, header_length)
    except ProtocolError:
        return
    assert bytes(text) + bytes(binary) == body
    assert len(text) == (len(body) if header_length is None else int(header_length))


@given(st.binary(max_size=50) | JSON.map(json.dumps).map(str.encode))
@example(b"[" * 200_000)
@example(b'{"a":' * 200_000)
@example(b"1" * 10_000)
@example(b"\xef\xbb\xbf{}")
@example(b"\xff\xfe{\x00}\x00")
@example(b"[NaN, Infinity, -Infinity]")
def test_any_text_parses_or_is_refused(text: bytes) -> None:
    try:
        value = tensors.json_of(memoryview(text), 1_000_000)
    except ProtocolError as error:
        check_message(error)
        return
    assert value == json.loads(text)


def test_json_without_its_length_says_so() -> None:
    with pytest.raises(ProtocolError, match="Inference-Header-Content-Length"):
        tensors.json_of(memoryview(b'{"inputs": []}\x00\x00'), 10)


@pytest.mark.parametrize("text", [b"[1,2,3,4,5,6,7]", b"[[],[],[],[]]", b"[" * 8])
def test_json_with_too_many_values_is_not_parsed(text: bytes) -> None:
    with pytest.raises(ProtocolError, match="more than 6 values"):
        tensors.json_of(memoryview(text), 6)


@given(st.binary(max_size=100), DATATYPES, ODD_SHAPES)
@example(b"", "FP32", [0, 2**63])
@example(b"", "UINT8", [2**32, 2**32])  # the product overflows to 0
@example(b"1234", "FP32", [-1, -1])
@example(b"1", "UINT8", [1] * 70)
@example(np.array([np.nan], np.float32).tobytes(), "FP32", [1])
@example(np.array([-np.inf], np.float32).tobytes(), "FP32", [1])
def test_binary_data_of_any_size_and_shape_make_a_tensor_or_are_refused(
    raw: bytes, datatype: str, shape: list[int]
) -> None:
    try:
        array = tensors.from_bytes(memoryview(raw), datatype, shape)
    except ProtocolError as error:
        check_message(error)
        return
    assert array.nbytes == len(raw)
    assert list(array.shape) == shape
    assert np.isfinite(array).all()


@given(st.lists(JSON, max_size=8), DATATYPES, ODD_SHAPES)
@example([1e39], "FP32", [1])
@example([10**400], "FP32", [1])
@example([256], "UINT8", [1])
@example([-1], "UINT8", [1])
@example([1.5], "UINT8", [1])
@example([True], "UINT8", [1])
@example(["7"], "FP32", [1])
@example([None], "FP32", [1])
@example([[1], [2, 3]], "FP32", [2, 2])
@example([[1, 2], 3], "FP32", [2, 2])
@example([[]], "FP32", [1])
def test_any_json_data_make_a_tensor_or_are_refused(data: list[Any], datatype: str, shape: list[int]) -> None:
    try:
        array = tensors.from_list(data, datatype, shape)
    except ProtocolError as error:
        check_message(error)
        return
    assert list(array.shape) == shape
    assert np.isfinite(array).all()


@pytest.mark.parametrize("value", [256, -1, 1.5, True, "7", None, [7]])
def test_a_value_that_is_not_a_grey_level_is_refused(value: Any) -> None:
    with pytest.raises(ProtocolError):
        tensors.from_list([7, value], "UINT8", [2])


def test_false_sizes_take_no_memory() -> None:
    """A long text among short ones, a shape of a terabyte: nothing is allocated for them."""
    body = memoryview(bytes(1 << 20))
    mixed = ["x" * 1_000_000, *["y"] * 1000]
    tracemalloc.start()
    try:
        for shape in ([1 << 40], [1 << 20, 1 << 20]):
            with pytest.raises(ProtocolError):
                tensors.from_bytes(body, "FP32", shape)
            with pytest.raises(ProtocolError):
                tensors.from_list([0] * 10, "FP32", shape)
        with pytest.raises(ProtocolError):
            tensors.from_list(mixed, "FP32", [len(mixed)])
        tensors.from_bytes(body, "UINT8", [1024, 1024])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000
