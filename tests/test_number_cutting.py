"""Numbers that are cut into digits: the search through all ways, and what it reads."""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest

from mnist_cnn.reading.ink.pixels import Pixels
from mnist_cnn.reading.numbers.line_preparation import prepare
from mnist_cnn.reading.numbers.looks import Look
from mnist_cnn.reading.recognizer import Recognizer
from number_cutting import Cuttings, cut, most_probable_with_cutting
from number_parts import divide
from reading.numbers.columns import doubtful


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(threads=1)


def drawn(text: str, apart: int = 46) -> Pixels:
    """Write each digit with OpenCV's font, dark on light, some pixels to the right of the one before."""
    picture = np.full((90, 60 + apart * len(text)), 230, np.uint8)
    for place, digit in enumerate(text):
        cv2.putText(picture, digit, (25 + apart * place, 68), cv2.FONT_HERSHEY_SIMPLEX, 1.8, (40,), 4, cv2.LINE_AA)
    return picture


def every_way(cuttings: Cuttings, start: int = 0) -> list[tuple[str, float]]:
    """List the number and the log-probability of every way to cut, and to read, by trying all."""
    if start == len(cuttings.skipped):
        return [("", 0.0)]
    ways = [(text, log + cuttings.skipped[start]) for text, log in every_way(cuttings, start + 1)]
    for piece, (first, end) in enumerate(cuttings.pieces):
        if first == start:
            logs = cuttings.classes[piece] + cuttings.shapes[piece]
            rest = every_way(cuttings, end)
            ways += [(f"{digit}{text}", log + float(logs[digit])) for digit in range(10) for text, log in rest]
    return ways


def any_cuttings(seed: int) -> Cuttings:
    random = np.random.default_rng(seed)
    pieces = [run for run in itertools.combinations(range(4), 2) if random.random() < 0.8]
    classes = np.log(random.dirichlet(np.full(10, 0.3), len(pieces)).clip(1e-9, None))
    return Cuttings(pieces, classes, random.uniform(-1, 0, len(pieces)), random.uniform(-3, 0, 3).tolist())


@pytest.mark.parametrize("seed", range(20))
def test_the_search_finds_what_trying_everything_finds(seed: int) -> None:
    cuttings = any_cuttings(seed)
    ways = every_way(cuttings)
    assert cuttings.best()[0] == max(ways, key=lambda way: way[1])[0]
    texts = sorted({text for text, _ in ways if len(text) < 3})
    sums = [math.fsum(math.exp(log) for other, log in ways if other == text) for text in texts]
    expected = np.log(sums) - math.log(math.fsum(math.exp(log) for _, log in ways))
    np.testing.assert_allclose(cuttings.judge(texts), expected, atol=1e-9)


def test_the_confidence_is_the_product_of_the_digits() -> None:
    classes = np.log(np.full((2, 10), 0.02))
    classes[0, 4], classes[1, 7] = math.log(0.82), math.log(0.5)
    cuttings = Cuttings([(0, 1), (1, 2)], classes, np.array([-0.3, -0.1]), [-5.0, -5.0])
    text, log_probability = cuttings.best()
    assert text == "47"
    assert math.exp(log_probability) == pytest.approx(0.41)


@pytest.mark.parametrize("text", ["2035", "68", "94627"])
def test_digits_apart_are_read(recognizer: Recognizer, text: str) -> None:
    assert cut(prepare(drawn(text)), recognizer).best()[0] == text


@pytest.mark.parametrize("text", ["2035", "68", "8086", "6530"])
def test_digits_are_cut_where_they_touch(recognizer: Recognizer, text: str) -> None:
    line = prepare(drawn(text, apart=29))
    assert cv2.connectedComponents((divide(line).labels > 0).astype(np.uint8))[0] == 2, "the paper and one shape"
    assert cut(line, recognizer).best()[0] == text


def test_lines_frames_and_dots_are_passed_over(recognizer: Recognizer) -> None:
    picture = drawn("2035", apart=60)
    cv2.line(picture, (0, 84), (picture.shape[1], 84), (60,), 2)
    cv2.line(picture, (picture.shape[1] - 4, 10), (picture.shape[1] - 4, 80), (60,), 2)
    cv2.circle(picture, (78, 66), 4, (40,), cv2.FILLED)
    assert cut(prepare(picture), recognizer).best()[0] == "2035"


def test_nothing_is_read_on_empty_paper(recognizer: Recognizer) -> None:
    cuttings = cut(prepare(np.full((50, 120), 200, np.uint8)), recognizer)
    assert cuttings.best() == ("", -math.inf)
    assert cuttings.judge(["7"]).tolist() == [-math.inf]


def reads(*digits: int) -> Cuttings:
    """Cut into pieces that are probably these digits."""
    classes = np.full((len(digits), 10), math.log(0.01))
    classes[np.arange(len(digits)), digits] = math.log(0.91)
    pieces = [(place, place + 1) for place in range(len(digits))]
    return Cuttings(pieces, classes, np.zeros(len(digits)), [-9.0] * len(digits))


def test_cutting_decides_where_the_line_is_doubtful() -> None:
    look = Look.at(doubtful("48", "43"))
    text, log_probability = most_probable_with_cutting([look], reads(4, 3))
    assert text == "43"
    assert math.log(0.5) < log_probability < 0
    assert most_probable_with_cutting([look], reads(4, 8))[0] == "48"


def test_cutting_finds_no_number_on_a_blank_line() -> None:
    assert most_probable_with_cutting([Look.at(np.log(np.array([[0.99, *[0.001] * 10]])))], reads(4, 3)) == (
        "",
        -math.inf,
    )
