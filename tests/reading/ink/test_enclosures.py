"""The surroundings of a digit are not read: rings, sheets, frames, figures, the edge of a crop, an empty page."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mnist_cnn.reading.ink import prepare, read_image, stages
from mnist_cnn.reading.recognizer import Reading, Recognizer
from reading.ink.drawings import BLANKS, STROKES, Grey, drawn, grey, noise, on_desk, placed, ramp, ringed, zero

CASES = Path(__file__).parent / "cases"
DESK = np.array([[200, 90], [430, 70], [450, 400], [180, 380]])


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(threads=1)


def assert_read(reading: Reading, digit: str) -> None:
    assert (reading.label, reading.reason) == (digit, "")


def assert_read_in_both_polarities(picture: Grey, digit: str, recognizer: Recognizer) -> None:
    for same in (picture, 255 - picture):
        assert_read(recognizer.read(same), digit)


def assert_read_or_refused(reading: Reading, digit: str) -> None:
    assert reading.label == digit or not reading.accepted


@pytest.mark.parametrize("path", sorted(CASES.iterdir()), ids=lambda path: path.stem)
def test_the_digit_of_a_case_is_read(path: Path, recognizer: Recognizer) -> None:
    reading = recognizer.read(path)
    if path.stem == "circled-7":  # its corner touches the ring
        assert_read_or_refused(reading, "7")
    else:
        assert_read(reading, "1" if path.stem == "mpl" else path.stem[-1])


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize(
    ("radii", "pen", "gap", "waver"),
    [
        ((190, 190), 4, 0, 0),
        ((190, 190), 24, 0, 0),
        ((160, 210), 9, 0, 0),
        ((190, 190), 9, 25, 0),
        ((180, 190), 9, 0, 0.05),
    ],
)
def test_a_ring_is_not_part_of_the_digit(
    radii: tuple[float, float], pen: int, gap: float, waver: float, digit: str, recognizer: Recognizer
) -> None:
    picture = ringed(drawn(digit, 200, 18), radii, pen, gap, waver)
    assert_read_in_both_polarities(picture, digit, recognizer)


@pytest.mark.parametrize("text", ["17", "42", "80", "123", "X", "A", "&"])
@pytest.mark.parametrize("size", [2.0, 4.0])
def test_several_digits_or_a_letter_in_a_ring_are_not_accepted(text: str, size: float, recognizer: Recognizer) -> None:
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 8)
    picture = cv2.ellipse(np.full((480, 480), 240, np.uint8), (240, 240), (220, 190), 0, 0, 360, 20, 8, cv2.LINE_AA)
    place = (240 - width // 2, 240 + height // 2)
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, 20, 8, cv2.LINE_AA)
    assert not recognizer.read(picture.astype(np.uint8)).accepted


@pytest.mark.parametrize("reach", [0.08, 0.12, 0.16])
@pytest.mark.parametrize("oblong", [0.7, 1.0, 1.4])
def test_a_dotted_zero_is_a_zero(oblong: float, reach: float, recognizer: Recognizer) -> None:
    picture = zero(300, 24, "")
    axes = round(300 * reach * 0.8 / oblong**0.5), round(300 * reach * 0.8 * oblong**0.5)
    dotted = cv2.ellipse(picture, (240, 240), axes, 0, 0, 360, 20, -1, cv2.LINE_AA).astype(np.uint8)
    assert_read_in_both_polarities(dotted, "0", recognizer)


@settings(max_examples=25)
@given(
    digit=st.sampled_from(sorted(STROKES)),
    size=st.integers(70, 200),
    width=st.integers(100, 220),
    height=st.integers(100, 220),
    pen=st.integers(2, 24),
    gap=st.floats(0, 30),
    waver=st.floats(0, 0.06),
)
def test_in_any_ring_the_digit_is_read_or_refused(
    digit: str, size: int, width: int, height: int, pen: int, gap: float, waver: float, recognizer: Recognizer
) -> None:
    picture = ringed(drawn(digit, size, 0.09 * size), (width, height), pen, gap, waver)
    reading = recognizer.read(picture)
    assert_read_or_refused(reading, digit)
    assert recognizer.read(255 - picture).label == reading.label


@pytest.mark.parametrize(("pen", "height"), [(10, 120), (24, 240), (40, 400)])
@pytest.mark.parametrize("mark", ["", "dot", "slash", "free slash"])
def test_a_zero_stays_a_zero(mark: str, height: int, pen: int, recognizer: Recognizer) -> None:
    reading = recognizer.read(zero(height, pen, mark))
    assert_read_or_refused(reading, "0")
    if mark != "slash":  # MNIST has none
        assert_read(reading, "0")


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("light", [0, 0.15])
@pytest.mark.parametrize(
    "corners", [DESK + np.array([150, 40]), np.array([[300, 20], [600, 150], [500, 440], [170, 310]])]
)
def test_a_sheet_on_a_desk_is_read(corners: Grey, light: float, digit: str, recognizer: Recognizer) -> None:
    picture = on_desk(drawn(digit, 180, 16), 50, corners, light)
    assert_read_in_both_polarities(picture, digit, recognizer)  # chalk on a slate, on a light desk


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("sides", [(10, 10, 10, 10), (90, 60, 30, 80)])
@pytest.mark.parametrize("margin", [0, 50])
def test_a_thick_frame_is_not_ink(
    margin: int, sides: tuple[int, int, int, int], digit: str, recognizer: Recognizer
) -> None:
    upper, lower, left, right = sides
    framed = np.pad(grey(235 - 210 * placed(drawn(digit, 200, 18), 300, 300)), ((upper, lower), (left, right)))
    assert_read(recognizer.read(np.pad(framed, margin, constant_values=235)), digit)


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize(("side", "thick"), [(30, 5), (36, 4), (50, 3)])
def test_a_thick_frame_around_a_small_picture_is_not_ink(
    side: int, thick: int, digit: str, recognizer: Recognizer
) -> None:
    sheet = grey(235 - 210 * placed(drawn(digit, side * 4 // 5, side * 0.07), side, side))
    framed = np.pad(sheet, thick, constant_values=20)
    assert_read_in_both_polarities(framed, digit, recognizer)


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("axes", [False, True])
def test_the_image_of_a_figure_is_read(axes: bool, digit: str, recognizer: Recognizer) -> None:
    figure = np.full((480, 640), 255, np.uint8)
    figure[60:420, 140:500] = grey(30 + 200 * placed(drawn(digit, 260, 26), 360, 360))
    if axes:  # spines, ticks, and their labels, which are digits too
        figure = cv2.rectangle(figure, (139, 59), (500, 420), 0, 1).astype(np.uint8)
        for place, label in enumerate(("0", "10", "20")):
            cv2.line(figure, (150 + 120 * place, 420), (150 + 120 * place, 425), 0, 1)
            cv2.putText(figure, label, (145 + 120 * place, 442), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1, cv2.LINE_AA)
            cv2.putText(figure, label, (108, 80 + 120 * place), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1, cv2.LINE_AA)
        cv2.putText(figure, "Label: 8", (270, 45), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 0, 2, cv2.LINE_AA)
    assert_read(recognizer.read(figure), digit)


MAPS = {"jet": cv2.COLORMAP_JET, "turbo": cv2.COLORMAP_TURBO, "rainbow": cv2.COLORMAP_RAINBOW, "hsv": cv2.COLORMAP_HSV}


def in_false_colours(digit: str, colours: int, margin: int, reverse: bool) -> Grey:
    """Draw a digit as a plotting library shows it: coarse, in a colour map; RGB."""
    levels = cv2.resize(grey(255 * placed(drawn(digit, 20, 2.5), 28, 28)), (364, 364), interpolation=cv2.INTER_NEAREST)
    shown = cv2.applyColorMap(255 - levels if reverse else levels, colours)
    figure = np.full((364 + 2 * margin, 364 + 4 * margin, 3), 255, np.uint8)
    figure[margin : margin + 364, 2 * margin : 2 * margin + 364] = shown
    return np.ascontiguousarray(figure[..., ::-1])


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize(("margin", "reverse"), [(0, False), (60, True)])
def test_a_figure_in_false_colours_is_not_misread(
    reverse: bool, margin: int, name: str, digit: str, recognizer: Recognizer
) -> None:
    figure = in_false_colours(digit, MAPS[name], margin, reverse)
    file = io.BytesIO()
    Image.fromarray(figure).save(file, "JPEG", quality=85)
    for same in (figure, np.dstack([figure, np.full(figure.shape[:2], 255, np.uint8)]), file.getvalue()):
        assert_read_or_refused(recognizer.read(same), digit)
    assert recognizer.read(figure).label == digit or name == "hsv"  # in a cyclic map, ink and paper look alike


@pytest.mark.parametrize("paper", [(255, 255, 255), (250, 230, 90), (200, 160, 110), (30, 90, 60), (20, 30, 110)])
@pytest.mark.parametrize("ink", [(20, 40, 160), (190, 20, 30), (250, 250, 250), (20, 20, 20)])
def test_coloured_ink_and_paper_keep_their_luminance(paper: tuple[int, ...], ink: tuple[int, ...]) -> None:
    apart = abs(float(np.dot(np.subtract(paper, ink), (0.299, 0.587, 0.114))))
    if apart < 40:
        pytest.skip("of one luminance")
    cover = placed(drawn("5", 200, 18), 480, 480)[..., None]
    picture = grey(np.array(paper) * (1 - cover) + np.array(ink) * cover)
    np.testing.assert_array_equal(read_image(picture), np.asarray(Image.fromarray(picture).convert("L")))


@pytest.mark.parametrize("size", [80, 200, 300])
def test_a_solid_shape_on_a_desk_is_not_a_sheet(size: int) -> None:
    sheet = grey(60 + noise(480, 480, 3))
    sheet[90 : 90 + size, 90 : 90 + size] = grey(200 + noise(size, size, 6))
    assert "sheet" not in dict(stages(sheet))


@pytest.mark.parametrize("side", [12, 24, 60, 200])
@pytest.mark.parametrize("pen", [0.12, 0.3])
def test_a_zero_that_touches_all_borders_is_a_zero(pen: float, side: int, recognizer: Recognizer) -> None:
    fine = np.zeros((400, 320), np.uint8)
    thick = round(400 * pen * 0.8)
    fine = cv2.ellipse(fine, (160, 200), (160 - thick // 2, 200 - thick // 2), 0, 0, 360, 255, thick).astype(np.uint8)
    tight = cv2.resize(fine, (side * 4 // 5, side), interpolation=cv2.INTER_AREA)
    for same in (tight, 255 - tight, 60 + tight // 2):
        assert_read(recognizer.read(same), "0")


@pytest.mark.parametrize("width", [8, 20, 36])
@pytest.mark.parametrize("angle", [0, 8])
def test_an_angular_zero_is_not_a_sheet_with_a_one_on_it(angle: float, width: int, recognizer: Recognizer) -> None:
    picture = np.full((300, 300), 255, np.uint8)
    cv2.rectangle(picture, (95, 50), (205, 250), 0, width, cv2.LINE_AA)
    turned = cv2.warpAffine(picture, cv2.getRotationMatrix2D((150, 150), angle, 1), (300, 300), borderValue=(255,))
    for same in (turned, 255 - turned):
        reading = recognizer.read(same.astype(np.uint8))
        assert reading.label == "0" or not reading.accepted, reading


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize(("side", "page"), [(30, 2400), (24, 1200)])
def test_a_tiny_digit_on_a_page_is_read(side: int, page: int, digit: str, recognizer: Recognizer) -> None:
    sheet = 250 - 220 * placed(drawn(digit, side, side / 9), page, page * 7 // 10, 0.3, 0.6)
    assert_read(recognizer.read(grey(sheet)), digit)


@pytest.mark.parametrize("radius", [1, 12])
@pytest.mark.parametrize("number", [1, 12])
def test_dust_on_a_page_is_not_a_digit(number: int, radius: int) -> None:
    page = np.full((2400, 1700), 245, np.uint8)
    for x, y in np.random.default_rng(7).integers(50, 1650, (number, 2)).tolist():
        cv2.circle(page, (x, y), radius, 60, -1, cv2.LINE_AA)
    assert not prepare(page).has_ink


def test_the_stages_name_the_enclosures() -> None:
    ring = ringed(drawn("2", 200, 18), (190, 190), 8)
    desk = on_desk(drawn("2", 180, 16), 50, DESK)
    crop = cv2.ellipse(np.zeros((40, 30), np.uint8), (15, 20), (11, 16), 0, 0, 360, 255, 8).astype(np.uint8)
    for name, picture in (("inside the ring", ring), ("sheet", desk), ("paper added around", crop)):
        steps = stages(picture)
        assert steps[1][0] == name
        assert len(steps) == len(dict(steps))
        np.testing.assert_array_equal(steps[-1][1], prepare(picture).image)


@pytest.mark.parametrize("name", [name for name in BLANKS if "half" not in name])  # half of a sheet is a bar
def test_a_blank_sheet_is_not_a_digit(name: str, recognizer: Recognizer) -> None:
    blank = BLANKS[name]
    if min(blank.shape) < 100:
        pytest.skip("too small for a surround")
    surround = 255 if np.median(blank) < 128 else 0
    assert not recognizer.read(np.pad(blank, 60, constant_values=surround)).accepted


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("dark", [80, 130])
@pytest.mark.parametrize("down", [False, True])
def test_uneven_light_does_not_divide_an_image(down: bool, dark: float, digit: str, recognizer: Recognizer) -> None:
    paper = ramp(480, 640, dark, 230, down)
    assert_read(recognizer.read(grey(paper * (1 - 0.85 * placed(drawn(digit, 180, 16), 480, 640)))), digit)


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("edge", [200, 280])
def test_a_soft_shadow_is_not_a_sheet_s_edge(edge: int, digit: str, recognizer: Recognizer) -> None:
    shadow = 1 - 0.45 / (1 + np.exp((edge - np.arange(500)) / 25))
    picture = 230 * shadow * (1 - 0.85 * placed(drawn(digit, 180, 16), 400, 500))
    assert_read(recognizer.read(grey(picture + noise(400, 500, 3))), digit)


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("slant", [0, 25])
@pytest.mark.parametrize("desk", [20, 60, 120])
@pytest.mark.parametrize("turns", range(4))
def test_a_desk_on_one_side_is_not_a_one(
    turns: int, desk: float, slant: int, digit: str, recognizer: Recognizer
) -> None:
    strip = np.array([[370 + slant, -5], [505, -5], [505, 405], [370 - slant, 405]])
    side = np.rot90(cv2.fillConvexPoly(np.zeros((400, 500)), strip, 1.0), turns)
    height, width = side.shape
    row, column = ((0.5, 0.3), (0.7, 0.5), (0.5, 0.7), (0.3, 0.5))[turns]
    upright = 230 - 190 * placed(drawn(digit, 150, 14), height, width, row, column)
    seen = grey(np.where(side > 0.5, desk, upright) + noise(height, width, 4))
    assert_read_in_both_polarities(seen, digit, recognizer)


@pytest.mark.parametrize("bow", [0.1, 0.2])
@pytest.mark.parametrize("digit", STROKES)
def test_a_strip_with_a_bent_edge_is_not_accepted_as_a_one(digit: str, bow: float, recognizer: Recognizer) -> None:
    rows, columns = np.mgrid[:400, :500]
    picture = 230 - 190 * placed(drawn(digit, 150, 14), 400, 500, 0.5, 0.3)
    picture[columns > 380 - 500 * bow * np.sin(rows * np.pi / 400) ** 2] = 50
    assert_read_or_refused(recognizer.read(grey(picture + noise(400, 500, 4))), digit)


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("axes", [(190, 190), (150, 190), (210, 180)])
@pytest.mark.parametrize("size", [150, 200])
def test_a_filled_disc_is_not_a_zero(size: int, axes: tuple[int, int], digit: str, recognizer: Recognizer) -> None:
    disc = cv2.ellipse(np.zeros((480, 480)), (240, 240), axes, 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    picture = grey(245 - 180 * disc * (1 - placed(drawn(digit, size, size * 0.09), 480, 480)) + noise(480, 480, 3))
    for same in (picture, 255 - picture):
        assert_read_or_refused(recognizer.read(same), digit)
        assert recognizer.read(same).label == digit


@pytest.mark.parametrize("thick", [40, 60, 80])
@pytest.mark.parametrize("angle", [0, 35, 80])
def test_a_thick_zero_is_not_a_disc(angle: int, thick: int, recognizer: Recognizer) -> None:
    picture = cv2.ellipse(np.full((480, 480), 245, np.uint8), (240, 240), (100, 135), angle, 0, 360, 20, thick)
    assert "disc" not in dict(stages(picture.astype(np.uint8)))
