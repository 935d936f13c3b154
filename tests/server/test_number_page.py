"""The drawing page for whole numbers, in a real browser. Most answers of the server are made up here."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import pytest

from server.drawn import file_of
from server.windows import PHONE, expect, hand_over, upload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from server.browser import Desk
    from server.conftest import OpenDesk

pytestmark = pytest.mark.slow

ASPECT = 2.5  # width of the surface by its height, as modes.js has it
SETTLED = 600  # ms, as main.js has it

Piece = tuple[int, int, int, int]  # left, top, width and height, in pixels


class MadeUpReader:
    """Answers for the server: every piece of ink is a digit, and the digits are 1, 2, 3 and so on.

    Attributes:
        confidences: Of the digits, in turn; the number's is the lowest.
        pictures: What was sent, as grey levels.
        queries: With which parameters.
    """

    def __init__(self, desk: Desk, confidences: tuple[float, ...] = (0.98,)) -> None:
        self.confidences = confidences
        self.pictures: list[NDArray[np.uint8]] = []
        self.queries: list[dict[str, list[str]]] = []
        desk.page.route(re.compile(r"/read(\?|$)"), self.answer)

    def answer(self, route: Any) -> None:
        picture = cv2.imdecode(np.frombuffer(route.request.post_data_buffer, np.uint8), cv2.IMREAD_GRAYSCALE)
        self.pictures.append(np.asarray(picture, np.uint8))
        self.queries.append(parse_qs(urlsplit(route.request.url).query))
        route.fulfill(json={"readings": [self.read(self.pictures[-1])]})

    def read(self, picture: NDArray[np.uint8]) -> dict[str, Any]:
        confidences = self.confidences
        digits: list[dict[str, Any]] = [
            {
                "text": str(place % 10),
                "confidence": confidences[(place - 1) % len(confidences)],
                "box": {"left": left, "top": top, "right": left + width, "bottom": top + height},
            }
            for place, (left, top, width, height) in enumerate(pieces_of(picture), 1)
        ]
        confidence = min((digit["confidence"] for digit in digits), default=0.0)
        is_sure = confidence > 0.9
        return {
            "text": "".join(digit["text"] for digit in digits),
            "confidence": confidence,
            "accepted": is_sure,
            "reason": None if is_sure else "uncertain",
            "explanation": None if is_sure else "This is not clearly one number.",
            "digits": digits,
        }


def pieces_of(picture: NDArray[np.uint8]) -> list[Piece]:
    """Return the pieces of dark ink, from left to right."""
    _, _, statistics, _ = cv2.connectedComponentsWithStats((picture < 128).astype(np.uint8))
    return sorted((left, top, width, height) for left, top, width, height, _ in statistics[1:].tolist())


def picture_of_bars(size: tuple[int, int], kind: str = "PNG") -> bytes:
    """Three dark bars on light paper, as an image file."""
    width, height = size
    picture = np.full((height, width), 240, np.uint8)
    for share in (0.2, 0.5, 0.8):
        left = round(share * width)
        picture[height // 4 : 3 * height // 4, left : left + width // 50] = 20
    return file_of(picture, kind)


def choose(desk: Desk, name: str) -> None:
    desk.page.locator("#modes").get_by_text(name, exact=True).click()


def expect_number(desk: Desk, text: str, *, accepted: bool = True) -> None:
    desk.expect_label(text, accepted=accepted)
    expect(desk.page.locator("#boxes li")).to_have_count(len(text))


def boxes(desk: Desk) -> NDArray[np.float64]:
    """Where the boxes of the digits lie on the surface: left, top, right and bottom, as shares of its sides."""
    desk.page.wait_for_timeout(SETTLED)  # on a busy machine, the answer to half a stroke may come first
    surface = desk.page.locator("#surface").bounding_box()
    assert surface is not None
    shown = [item.bounding_box() for item in desk.page.locator("#boxes li").all()]
    edges = [(b["x"], b["y"], b["x"] + b["width"], b["y"] + b["height"]) for b in shown if b]
    origin = np.array([surface["x"], surface["y"]] * 2)
    return np.asarray((np.array(edges) - origin) / np.array([surface["width"], surface["height"]] * 2))


class Held:
    """Questions that come after a first answer, and are not answered before `release`."""

    def __init__(self, desk: Desk, reader: MadeUpReader) -> None:
        self._waiting: list[Any] = []
        self._answer = reader.answer
        self._page = desk.page
        desk.page.route(re.compile(r"/read(\?|$)"), lambda route: self._waiting.append(route))

    def release(self) -> None:
        """Answer the question that waits longest, or the next one."""
        while not self._waiting:
            self._page.wait_for_timeout(20)
        self._answer(self._waiting.pop(0))


def expect_waiting(desk: Desk) -> None:
    """Nothing of an earlier answer is left, for eyes or ears."""
    expect(desk.page.locator("#answer")).to_have_attribute("data-state", "waiting")
    expect(desk.page.locator("#label")).to_have_text("–")
    expect(desk.page.locator("#sentence b")).to_have_text("Reading …")
    expect(desk.page.locator("#sentence span")).to_have_text("")
    expect(desk.page.locator("#boxes li")).to_have_count(0)
    expect(desk.page.locator("#picture")).to_be_hidden()
    expect(desk.page.locator("#status")).to_have_text("")


def write(desk: Desk, *places: float, top: float = 0.25, bottom: float = 0.75) -> None:
    """Write upright strokes at these shares of the width."""
    for x in places:
        desk.stroke([(x, top), (x, (top + bottom) / 2), (x, bottom)])


# Digit or number


def test_the_switch_obeys_the_keys_and_is_kept_in_the_address(desk: Desk) -> None:
    page = desk.page
    page.get_by_role("radio", name="Digit").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Number")).to_be_checked()
    expect(page).to_have_title("Write a number")
    expect(page.locator("#hint")).to_contain_text("Write here")
    assert page.url == desk.url + "/#number"
    box = page.locator("#surface").bounding_box()
    assert box is not None
    assert box["width"] / box["height"] == pytest.approx(ASPECT, abs=0.02)
    expect(page.get_by_role("meter")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("radio", name="Number")).to_be_checked()
    page.keyboard.press("Tab")
    page.get_by_role("radio", name="Number").focus()
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_title("Draw a digit")
    expect(page.get_by_role("meter")).to_have_count(10)
    assert page.url == desk.url + "/"


def test_each_surface_keeps_its_drawing(desk: Desk) -> None:
    MadeUpReader(desk)
    desk.draw("7")
    desk.expect_label("7")
    choose(desk, "Number")
    desk.expect_nothing()
    write(desk, 0.2, 0.4)
    expect_number(desk, "12")
    choose(desk, "Digit")
    desk.expect_label("7")
    expect(desk.page.locator("#boxes li")).to_have_count(0)
    choose(desk, "Number")
    expect_number(desk, "12")
    desk.page.keyboard.press("Control+z")
    expect_number(desk, "1")


def test_several_digits_are_read_as_a_number_by_a_button(desk: Desk) -> None:
    reader = MadeUpReader(desk)
    button = desk.page.get_by_role("button", name="Read it as a number")
    expect(button).to_be_hidden()
    desk.draw("17")
    expect(desk.page.locator("#sentence")).to_contain_text("There is more than one thing to read.")
    button.click()
    expect_number(desk, "12")
    expect(desk.page.get_by_role("radio", name="Number")).to_be_checked()
    expect(desk.page.locator("#surface")).to_be_focused()
    assert len(pieces_of(reader.pictures[-1])) == 2
    left, right = boxes(desk)[0, 0], boxes(desk)[-1, 2]
    assert (left + right) / 2 == pytest.approx(0.52, abs=0.04)  # in the middle, as it was drawn


def test_a_picture_comes_along_to_an_empty_surface(desk: Desk) -> None:
    MadeUpReader(desk)
    upload(desk, picture_of_bars((600, 200)))
    expect(desk.page.locator("#clear")).to_be_enabled()
    choose(desk, "Number")
    expect_number(desk, "123")


def test_a_model_of_something_else_offers_no_numbers(open_desk: OpenDesk) -> None:
    desk = open_desk()
    page = desk.page
    card = {"classes": ["Ankle boot", "Bag"], "collecting": False}
    page.route("**/model", lambda route: route.fulfill(content_type="application/json", body=json.dumps(card)))
    page.goto(desk.url + "/#number")
    page.reload()
    expect(page).to_have_title("Draw it")
    expect(page.locator("#modes")).to_be_hidden()
    expect(page.locator("#classes")).to_be_visible()


# Writing


def test_a_number_is_read_along_with_a_box_around_each_digit(desk: Desk) -> None:
    MadeUpReader(desk, (0.9991, 0.95))
    choose(desk, "Number")
    write(desk, 0.2)
    expect_number(desk, "1")
    write(desk, 0.5, 0.8)
    expect_number(desk, "123")
    expect(desk.page.locator("#sentence")).to_contain_text("95\u202f% sure Accepted")
    expect(desk.page.locator("#boxes")).to_have_text(re.compile(r"1>99%\s*295%\s*3>99%"))
    expect(desk.page.locator("#boxes .doubtful")).to_have_count(0)
    around = boxes(desk)
    assert around[:, [0, 2]].mean(axis=1) == pytest.approx([0.2, 0.5, 0.8], abs=0.01)
    assert around[:, 1] == pytest.approx([0.23] * 3, abs=0.03)
    assert around[:, 3] == pytest.approx([0.77] * 3, abs=0.03)


def test_the_server_reads_what_is_written(desk: Desk) -> None:
    choose(desk, "Number")
    write(desk, 0.4, 0.5, 0.6)
    expect(desk.page.locator("#label")).to_have_text(re.compile(r"^1+$"))  # how many is up to the weights
    expect(desk.page.locator("#boxes li")).not_to_have_count(0)
    desk.page.get_by_label("Number of digits").fill("2")
    expect(desk.page.locator("#label")).to_have_text(re.compile(r"^(\d\d|–)$"))
    desk.page.get_by_label("Number of digits").fill("x")
    expect(desk.page.get_by_role("alert")).to_contain_text("length = 'x' is not valid", ignore_case=True)


def test_what_is_sent_is_the_ink_however_small_it_is_written(desk: Desk) -> None:
    reader = MadeUpReader(desk)
    choose(desk, "Number")
    write(desk, 0.1, 0.15, top=0.1, bottom=0.5)
    expect_number(desk, "12")
    assert boxes(desk)[:, [0, 2]].mean(axis=1) == pytest.approx([0.1, 0.15], abs=0.01)
    small = reader.pictures[-1]
    assert small.shape[0] == 128
    heights = [height for _, _, _, height in pieces_of(small)]
    assert min(heights) > 0.7 * 128
    desk.press("Clear")
    desk.stroke([(0.3, 0.5), (0.7, 0.5)])  # a dash: not enlarged until it fills the height
    expect_number(desk, "1")
    assert pieces_of(reader.pictures[-1])[0][3] < 0.2 * 128


def test_a_number_that_is_not_accepted_says_why_once_the_pen_rests(desk: Desk) -> None:
    MadeUpReader(desk, (0.97, 0.41))
    choose(desk, "Number")
    write(desk, 0.2)
    mouse = desk.page.mouse
    mouse.move(*desk.place(0.5, 0.25))
    mouse.down()
    mouse.move(*desk.place(0.5, 0.75), steps=8)
    expect(desk.page.locator("#sentence")).to_contain_text("Reading …")
    mouse.up()
    expect_number(desk, "12", accepted=False)
    expect(desk.page.locator("#sentence")).to_contain_text(
        "This is not clearly one number. Not accepted: 41\u202f% sure."
    )
    expect(desk.page.locator("#status")).to_have_text(
        "12, This is not clearly one number., Not accepted: 41\u202f% sure."
    )
    expect(desk.page.locator("#boxes .doubtful b")).to_have_text("2")


def test_half_a_stroke_is_read_only_when_the_pen_pauses(desk: Desk) -> None:
    reader = MadeUpReader(desk)
    choose(desk, "Number")
    mouse = desk.page.mouse
    mouse.move(*desk.place(0.5, 0.2))
    mouse.down()
    for step in range(20):
        mouse.move(*desk.place(0.5, 0.2 + step * 0.03))
    moving = len(reader.pictures)
    expect_number(desk, "1")  # the pen is still down
    assert len(reader.pictures) - moving <= 2
    mouse.up()


def test_an_answer_to_less_than_is_written_fades_and_is_not_spoken(desk: Desk) -> None:
    reader = MadeUpReader(desk)
    choose(desk, "Number")
    write(desk, 0.2)
    expect(desk.page.locator("#status")).to_contain_text("1, ")
    held = Held(desk, reader)
    with desk.page.expect_request("**/read"):
        write(desk, 0.4)
    write(desk, 0.6)
    desk.page.wait_for_timeout(SETTLED)
    for text in ("1", "12"):
        expect_number(desk, text)
        expect(desk.page.locator("#label")).to_have_css("opacity", "0.3")
        expect(desk.page.locator("#boxes")).to_have_css("opacity", "0.3")
        expect(desk.page.locator("#status")).to_have_text("")
        with desk.page.expect_response("**/read"):
            held.release()
    expect_number(desk, "123")
    expect(desk.page.locator("#label")).to_have_css("opacity", "1")
    expect(desk.page.locator("#status")).to_contain_text("123, ")


@pytest.mark.parametrize("leave", [lambda desk: desk.press("Clear"), lambda desk: choose(desk, "Digit")])
def test_an_answer_that_comes_late_is_dropped(desk: Desk, leave: Callable[[Desk], None]) -> None:
    reader = MadeUpReader(desk)
    waiting: list[Any] = []
    desk.page.route("**/read", lambda route: waiting.append(route))
    choose(desk, "Number")
    with desk.page.expect_request("**/read"):
        write(desk, 0.5)
    leave(desk)
    for route in waiting:
        reader.answer(route)
    desk.page.wait_for_timeout(SETTLED)
    desk.expect_nothing()
    expect(desk.page.locator("#boxes li")).to_have_count(0)


def test_digits_are_written_with_the_keys_alone(desk: Desk) -> None:
    MadeUpReader(desk)
    choose(desk, "Number")
    keyboard = desk.page.keyboard
    desk.page.locator("#surface").focus()
    for _ in range(2):
        keyboard.press("Space")
        for _ in range(12):
            keyboard.press("ArrowDown")
        keyboard.press("Space")
        for key in ["ArrowRight"] * 50 + ["ArrowUp"] * 12:
            keyboard.press(key)
    expect_number(desk, "12")
    expect(desk.page.get_by_role("status")).to_contain_text("12, ")
    assert boxes(desk)[:, [0, 2]].mean(axis=1) == pytest.approx([0.2, 0.7], abs=0.01)


def test_a_finger_writes_on_a_phone_and_sees_all_at_once(open_desk: OpenDesk) -> None:
    for width, height in ((390, 844), (740, 360)):
        desk = open_desk(**PHONE | {"viewport": {"width": width, "height": height}})
        MadeUpReader(desk)
        desk.page.locator("#modes").get_by_text("Number").tap()
        desk.touch("17")
        expect_number(desk, "12")
        assert desk.page.evaluate("[scrollX, scrollY, document.documentElement.scrollWidth]") == [0, 0, width]
        for name in ("#surface", ".tools", "#label", "#sentence", "#pattern"):
            box = desk.page.locator(name).bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= height, name


def test_many_digits_fit_the_narrowest_phone(open_desk: OpenDesk) -> None:
    desk = open_desk(**PHONE | {"viewport": {"width": 320, "height": 640}})
    MadeUpReader(desk)
    choose(desk, "Number")
    for count in (6, 10, 24):
        if count > 6:
            desk.press("Clear")
        write(desk, *np.linspace(0.02, 0.98, count))
        expect_number(desk, ("1234567890" * 3)[:count])
        assert desk.page.evaluate("document.documentElement.scrollWidth") == 320


# Pictures


@pytest.mark.parametrize("size", [(900, 120), (200, 400), (3000, 500)])
def test_boxes_lie_on_the_digits_of_a_picture(desk: Desk, size: tuple[int, int]) -> None:
    MadeUpReader(desk)
    choose(desk, "Number")
    hand_over(desk, picture_of_bars(size), "drop")
    expect_number(desk, "123")
    width, height = size
    shown = min(ASPECT, width / height)  # width of the picture on the surface, in heights
    shown_height = min(1.0, ASPECT * height / width)
    centres = (ASPECT / 2 + (np.array([0.21, 0.51, 0.81]) - 0.5) * shown) / ASPECT
    around = boxes(desk)
    assert around[:, [0, 2]].mean(axis=1) == pytest.approx(centres, abs=0.01)
    assert around[:, [1, 3]].mean(axis=1) == pytest.approx([0.5] * 3, abs=0.01)
    assert around[0, 3] - around[0, 1] == pytest.approx(shown_height / 2, abs=0.02)


def test_a_large_photo_of_a_number_is_made_smaller_and_its_boxes_fit(desk: Desk) -> None:
    noise = np.random.default_rng(0).integers(0, 60, (900, 1800), dtype=np.uint8)
    picture = cv2.imdecode(np.frombuffer(picture_of_bars((1800, 900)), np.uint8), cv2.IMREAD_GRAYSCALE)
    reader = MadeUpReader(desk)
    choose(desk, "Number")
    photo = file_of(np.maximum(np.asarray(picture), 60) - noise, "JPEG", quality=100)
    assert len(photo) > 2**20
    upload(desk, photo, "photo.jpg", "image/jpeg")
    expect(desk.page.locator("#boxes li").first).to_be_attached()
    assert reader.pictures[-1].shape == (800, 1600)


@pytest.mark.parametrize("mode", ["Digit", "Number"])
def test_a_new_picture_is_not_shown_with_the_answer_to_the_last_one(desk: Desk, mode: str) -> None:
    reader = MadeUpReader(desk)
    choose(desk, mode)
    bars = picture_of_bars((600, 200))
    upload(desk, bars)
    expect(desk.page.locator("#status")).not_to_have_text("")
    held = Held(desk, reader)
    desk.page.route("**/predict?*", lambda route: None)
    with desk.page.expect_request(re.compile("/(read|predict)")):
        upload(desk, bars, "other.png")
    expect_waiting(desk)
    if mode == "Number":
        held.release()
        expect_number(desk, "123")


def test_a_stroke_on_a_picture_removes_its_answer(desk: Desk) -> None:
    reader = MadeUpReader(desk)
    choose(desk, "Number")
    upload(desk, picture_of_bars((600, 200)))
    expect_number(desk, "123")
    held = Held(desk, reader)
    write(desk, 0.5)
    expect_waiting(desk)
    desk.page.wait_for_timeout(SETTLED)
    expect(desk.page.locator("#sentence")).to_have_css("opacity", "1")
    held.release()
    expect_number(desk, "1")


@pytest.mark.parametrize(("width", "labels"), [(400, "all"), (1000, "digits"), (2000, "small"), (4000, "none")])
def test_labels_that_would_overlap_are_left_out(desk: Desk, width: int, labels: str) -> None:
    MadeUpReader(desk)
    choose(desk, "Number")
    picture = np.full((width // 8, width), 240, np.uint8)
    for left in range(width // 3, width // 3 + 6 * 24, 24):
        picture[width // 16 : width // 16 + 20, left : left + 14] = 20
    upload(desk, file_of(picture))
    expect_number(desk, "123456")
    expect(desk.page.locator("#boxes")).to_have_attribute("data-labels", labels)
    for kind in ("b", "span"):
        shown = [label.bounding_box() for label in desk.page.locator(f"#boxes {kind}:visible").all()]
        edges = [(box["x"], box["x"] + box["width"]) for box in shown if box]
        assert all(right <= left for (_, right), (left, _) in itertools.pairwise(edges))
        assert len(edges) == (6 if labels == "all" or (kind == "b" and labels != "none") else 0)


def test_no_number_is_no_large_bar(desk: Desk) -> None:
    MadeUpReader(desk)
    choose(desk, "Number")
    height = desk.page.locator("#label").evaluate("(label) => label.clientHeight")
    upload(desk, file_of(np.full((100, 300), 240, np.uint8)))
    expect(desk.page.locator("#sentence")).to_contain_text("This is not clearly one number.")
    label = desk.page.locator("#label")
    expect(label).to_have_text("–")
    expect(label).to_have_css("font-size", "28px")
    assert label.evaluate("(label) => label.clientHeight") == height  # nothing moves


# What is known about the number


def test_length_and_pattern_are_sent_with_the_question(desk: Desk) -> None:
    reader = MadeUpReader(desk)
    choose(desk, "Number")
    write(desk, 0.5)
    expect_number(desk, "1")
    assert reader.queries[-1] == {}
    with desk.page.expect_response(lambda response: "pattern=" in response.url):
        desk.page.get_by_label("Number of digits").fill(" 1-3")
        desk.page.get_by_label("Pattern").fill(r"[1-9]\d{0,2}")
    assert reader.queries[-1] == {"length": ["1-3"], "pattern": [r"[1-9]\d{0,2}"]}


def test_a_changed_length_hides_the_answer_to_the_last_one(desk: Desk) -> None:
    reader = MadeUpReader(desk)
    choose(desk, "Number")
    write(desk, 0.4, 0.6)
    expect_number(desk, "12")
    held = Held(desk, reader)
    for length in ("1", "2"):
        with desk.page.expect_request("**/read?*"):
            desk.page.get_by_label("Number of digits").fill(length)
        expect_waiting(desk)
    held.release()  # this is the answer with the length 1
    desk.page.wait_for_timeout(100)
    expect_waiting(desk)


def test_a_pattern_that_nothing_fits_is_explained(desk: Desk) -> None:
    problem = {"status": 422, "detail": "the pattern 'x' matches no number. Give a regular expression over digits."}
    MadeUpReader(desk)
    desk.page.route("**/read?*", lambda route: route.fulfill(status=422, json=problem))
    choose(desk, "Number")
    write(desk, 0.5)
    expect_number(desk, "1")
    field = desk.page.get_by_label("Pattern")
    field.fill("x")
    expect(desk.page.get_by_role("alert")).to_have_text(
        "The pattern 'x' matches no number. Give a regular expression over digits."
    )
    desk.expect_nothing()
    expect(desk.page.locator("#status")).to_have_text("")
    field.press("Backspace")  # acts in the field, not on the drawing
    expect_number(desk, "1")
    expect(desk.page.get_by_role("alert")).to_be_hidden()


# For everyone


def test_all_fields_and_switches_have_names(desk: Desk) -> None:
    choose(desk, "Number")
    tree = desk.page.context.new_cdp_session(desk.page).send("Accessibility.getFullAXTree")
    nodes = [
        (node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree["nodes"] if not node["ignored"]
    ]
    assert [name for role, name in nodes if role == "radio"] == ["Digit", "Number"]
    assert [name for role, name in nodes if role == "textbox"] == ["Number of digits", "Pattern"]
    assert [role for role, _ in nodes if role == "meter"] == []


def test_digits_on_the_keyboard_teach_nothing_about_a_number(open_desk: OpenDesk, collecting: tuple[str, Path]) -> None:
    url, folder = collecting
    desk = open_desk(url)
    MadeUpReader(desk)
    choose(desk, "Number")
    write(desk, 0.5)
    expect_number(desk, "1")
    desk.page.locator("#surface").focus()
    desk.page.keyboard.press("7")
    desk.page.wait_for_timeout(100)
    assert list(folder.rglob("*.png")) == []
    expect(desk.page.locator("#teach")).to_be_hidden()
