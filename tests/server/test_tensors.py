"""The codec of the Open Inference Protocol: any input becomes a tensor or one clean error."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnist_cnn.server.bodies import parse_json
from mnist_cnn.server.open_inference import tensors
from mnist_cnn.server.problems import Problem

SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4)
DATATYPES = st.sampled_from(["FP32", "UINT8"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def array_of(datatype: str, shape: list[int]) -> NDArray[Any]:
    array = np.random.default_rng(1).integers(0, 255, shape)
    return array.astype(np.uint8) if datatype == "UINT8" else (array / 7).astype(np.float32)


def check_message(error: Problem) -> None:
    assert "\n" not in error.detail
    assert len(error.detail) < 500


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
    array = array_of(datatype, shape)
    text = json.dumps(array.tolist() if nested else array.ravel().tolist())
    again = tensors.from_list(json.loads(text), datatype, shape)
    assert again.tobytes() == array.tobytes()
    assert again.shape == array.shape


def test_texts_are_written_with_their_lengths_in_bytes() -> None:
    texts = np.array([["0.9:7:sieben", "0.1:1:été"]], np.object_)
    assert tensors.datatype_of(texts) == "BYTES"
    assert tensors.to_bytes(texts) == b"\x0c\0\0\x000.9:7:sieben\x0b\0\0\x000.1:1:\xc3\xa9t\xc3\xa9"
    assert tensors.to_bytes(np.array(["\ud800"], np.object_)) == b"\x01\x00\x00\x00?"  # half of a character


@given(st.binary(max_size=20), st.none() | st.text(max_size=25) | st.integers(-5, 30).map(str))
@example(b"{}", "²")
@example(b"{}", "9" * 10_000)
@example(b"{}", "+1")
@example(b"{}", "1_0")
def test_any_header_length_splits_or_is_refused(body: bytes, header_length: str | None) -> None:
    try:
        text, binary = tensors.split_body(body, header_length)
    except Problem:
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
        value = parse_json(text, 1_000_000)
    except Problem as error:
        check_message(error)
        return
    assert value == json.loads(text)


@pytest.mark.parametrize("text", [b"[1,2,3,4,5,6,7]", b"[[],[],[],[]]", b"[" * 8])
def test_json_with_too_many_values_is_not_parsed(text: bytes) -> None:
    with pytest.raises(Problem, match="more than 6 values"):
        parse_json(text, 6)


@given(st.binary(max_size=100), DATATYPES, SHAPES)
@example(np.array([np.nan], np.float32).tobytes(), "FP32", [1])
@example(np.array([-np.inf], np.float32).tobytes(), "FP32", [1])
def test_any_binary_data_make_a_tensor_or_are_refused(raw: bytes, datatype: str, shape: list[int]) -> None:
    try:
        array = tensors.from_bytes(memoryview(raw), datatype, shape)
    except Problem as error:
        check_message(error)
        return
    assert array.nbytes == len(raw)
    assert list(array.shape) == shape
    assert np.isfinite(array).all()


@given(st.lists(JSON, max_size=8), DATATYPES, SHAPES)
@example([1e39], "FP32", [1])
@example([10**400], "FP32", [1])
@example([[1], [2, 3]], "FP32", [2, 2])
@example([[1, 2], 3], "FP32", [2, 2])
@example([[]], "FP32", [1])
def test_any_json_data_make_a_tensor_or_are_refused(data: list[Any], datatype: str, shape: list[int]) -> None:
    try:
        array = tensors.from_list(data, datatype, shape)
    except Problem as error:
        check_message(error)
        return
    assert list(array.shape) == shape
    assert np.isfinite(array).all()


def test_a_long_text_among_numbers_takes_no_memory() -> None:
    mixed = ["x" * 1_000_000, *[0] * 1000]
    tracemalloc.start()
    try:
        with pytest.raises(Problem):
            tensors.from_list(mixed, "FP32", [len(mixed)])
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
