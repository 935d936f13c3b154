"""The drawing page: its files, and its behaviour in a real browser."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from server.windows import PHONE, expect, hand_over, upload

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from starlette.testclient import TestClient

    from server.browser import Desk
    from server.conftest import MakeServer, OpenDesk

FOLDER = Path(__file__).parents[2] / "src" / "mnist_cnn" / "server" / "page"
KEY = "correct-horse-battery"
SETTLED = 600  # ms, as main.js has it


# The files


def test_every_file_of_the_page_is_served_and_kept(client: TestClient) -> None:
    types = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    for path in FOLDER.iterdir():
        address = "/" if path.name == "index.html" else f"/page/{path.name}"
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] == types[path.suffix]
        if path.suffix == ".svg":
            assert b'fill="#0072b2"' in answer.content, "the brand colour of page.css"
        else:
            assert answer.content == path.read_bytes()
            assert answer.headers["etag"]
        assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["page.py", "../settings.py", "..%2fsettings.py", "x%00"])
def test_nothing_but_the_files_of_the_page_is_served(client: TestClient, name: str) -> None:
    answer = client.get(f"/page/{name}")
    assert answer.status_code == 404
    assert answer.json()["status"] == 404


# The browser


slow = pytest.mark.slow


def picture_of_seven(size: tuple[int, int] = (400, 300), kind: str = "PNG") -> bytes:
    """A 7, dark on light paper, as an image file."""
    image = Image.new("RGB", size, (236, 231, 219))
    width, height = size
    points = [(0.38, 0.2), (0.62, 0.2), (0.48, 0.8)]
    ImageDraw.Draw(image).line([(x * width, y * height) for x, y in points], (30, 34, 80), height // 20, "curve")
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


# Drawing


@slow
@pytest.mark.parametrize("digit", ["0", "2", "7"])
def test_a_drawn_digit_is_read(desk: Desk, digit: str) -> None:
    desk.draw(digit)
    desk.expect_label(digit)
    expect(desk.page.locator("#sentence")).to_contain_text("sure")
    expect(desk.page.locator("#classes li.best .name")).to_have_text(digit)
    meter = desk.page.get_by_role("meter", name=digit, exact=True)
    assert int(str(meter.get_attribute("aria-valuenow"))) > 50
    expect(desk.page.locator("#picture")).to_have_js_property("naturalWidth", 28)


def pixels_of(body: bytes) -> NDArray[np.uint8]:
    """Grey levels of an image file; white where nothing was sent yet."""
    return np.asarray(Image.open(io.BytesIO(body)).convert("L")) if body else np.full((280, 280), 255, np.uint8)


@slow
def test_what_is_sent_is_a_small_picture_dark_on_light_in_either_theme(open_desk: OpenDesk) -> None:
    for scheme in ("light", "dark"):
        desk = open_desk(color_scheme=scheme)
        desk.record_bodies()
        desk.draw("1")
        pixels = pixels_of(desk.await_body(lambda body: pixels_of(body)[-60, 140:141].tolist() == [0]))  # all of it
        desk.expect_label("1")
        assert {each.headers["content-type"] for each in desk.requests if "/predict" in each.url} == {"image/png"}
        assert pixels.shape == (280, 280)
        assert (pixels[0, 0], pixels[140, 140]) == (255, 0)


@slow
def test_a_scribble_is_rejected_only_once_the_pen_rests(desk: Desk) -> None:
    desk.draw("scribble", lift=False)
    expect(desk.page.locator("#answer")).to_have_attribute("data-state", "rejected")
    expect(desk.page.locator("#sentence")).not_to_contain_text("does not look like anything the model knows")
    desk.page.mouse.up()
    expect(desk.page.locator("#sentence")).to_contain_text("does not look like anything the model knows")
    desk.expect_label("?", accepted=False)
    expect(desk.page.locator("#classes li.best")).to_have_count(0)


@slow
def test_undo_redo_and_clear(desk: Desk) -> None:
    page = desk.page
    desk.expect_nothing()
    for name in ("Undo", "Redo", "Clear"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    desk.draw("1")
    desk.expect_label("1")
    alone = desk.ink()
    desk.draw("scribble")
    desk.expect_label("?", accepted=False)
    desk.press("Undo")
    desk.expect_label("1")
    assert desk.ink() == alone
    desk.press("Redo")
    desk.expect_label("?", accepted=False)
    desk.press("Clear")
    desk.expect_nothing()
    expect(page.locator("#hint")).to_be_visible()
    assert desk.ink() == 0
    page.keyboard.press("Control+z")  # a drawing wiped away by mistake comes back
    page.keyboard.press("Control+z")
    desk.expect_label("1")
    page.keyboard.press("Control+Shift+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+y")
    desk.expect_label("?", accepted=False)
    page.keyboard.press("Escape")
    desk.expect_nothing()


@slow
def test_an_answer_that_comes_after_clearing_is_dropped(desk: Desk) -> None:
    waiting: list[Any] = []
    desk.page.route("**/predict*", lambda route: waiting.append(route))
    desk.draw("1")
    desk.page.wait_for_function("() => !document.querySelector('#clear').disabled")
    desk.page.keyboard.press("Escape")
    for route in waiting:
        route.continue_()
    desk.page.wait_for_timeout(SETTLED)
    desk.expect_nothing()


@slow
def test_one_question_is_under_way_at_a_time_and_the_newest_wins(desk: Desk) -> None:
    told = desk.page.evaluate(
        """async () => {
          const { Newest } = await import("/page/newest.js");
          const asked = [], shown = [], answer = {};
          const work = (question) => new Promise((resolve) => {
            asked.push(question);
            answer[question] = () => resolve(question);
          });
          const until = async (question) => {
            while (!answer[question]) await new Promise((resolve) => setTimeout(resolve, 5));
          };
          const questions = new Newest(work, (each) => shown.push(each), () => {});
          questions.ask(1);
          await until(1);
          for (const question of [2, 3, 4]) questions.ask(question);
          answer[1]();
          await until(4);
          questions.forget();
          questions.ask(5);
          answer[4]();
          await until(5);
          answer[5]();
          await new Promise((resolve) => setTimeout(resolve, 5));
          return [asked, shown];
        }"""
    )
    assert told == [[1, 4, 5], [1, 5]]


# Without a mouse


@slow
def test_a_digit_is_drawn_with_the_keys_alone(desk: Desk) -> None:
    keyboard = desk.page.keyboard
    keyboard.press("Tab")
    while desk.page.evaluate("document.activeElement.id") != "surface":
        keyboard.press("Tab")
    keyboard.press("Space")
    expect(desk.page.get_by_role("status")).to_have_text("Pen down")
    for _ in range(20):
        keyboard.press("ArrowDown")
    keyboard.press("Space")
    desk.expect_label("1")
    expect(desk.page.get_by_role("status")).to_contain_text("1, ")
    keyboard.press("Delete")
    desk.expect_nothing()


@slow
def test_a_finger_draws_on_a_phone(open_desk: OpenDesk) -> None:
    desk = open_desk(**PHONE)
    desk.touch("7")
    desk.expect_label("7")
    page = desk.page
    assert page.evaluate("[scrollX, scrollY]") == [0, 0]  # the finger drew, and moved nothing
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    last = page.locator("#classes li").last.bounding_box()
    assert last is not None
    assert last["y"] + last["height"] <= 844  # all that matters is seen at once
    photo = page.get_by_role("button", name="Take a photo")
    expect(photo).to_be_visible()
    with page.expect_file_chooser() as chooser:
        photo.tap()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files({"name": "p.jpg", "mimeType": "image/jpeg", "buffer": picture_of_seven(kind="JPEG")})
    desk.expect_label("7")


@slow
def test_a_phone_on_its_side_shows_all_at_once(open_desk: OpenDesk, collecting: tuple[str, Path]) -> None:
    for url in (None, collecting[0]):
        desk = open_desk(*([url] if url else []), **PHONE | {"viewport": {"width": 740, "height": 360}})
        desk.touch("7")
        desk.expect_label("7")
        assert desk.page.evaluate("document.documentElement.scrollWidth") == 740
        for name in ("#surface", "#classes", ".tools"):
            box = desk.page.locator(name).bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= 360, name


@slow
def test_a_pen_that_presses_draws_a_broader_line(desk: Desk) -> None:
    session = desk.page.context.new_cdp_session(desk.page)
    inked = []
    for force in (0.1, 0.9):
        for kind, y in (("mousePressed", 0.2), ("mouseMoved", 0.5), ("mouseMoved", 0.8), ("mouseReleased", 0.8)):
            x, y = desk.place(0.5, y)
            event = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "pointerType": "pen", "force": force}
            session.send("Input.dispatchMouseEvent", event)
        desk.expect_label("1")
        inked.append(desk.ink())
        desk.press("Clear")
    assert inked[1] > 1.5 * inked[0]


@slow
def test_the_canvas_has_the_screens_own_pixels(open_desk: OpenDesk) -> None:
    desk = open_desk(device_scale_factor=3)
    wide, shown = desk.page.evaluate(
        "[document.querySelector('canvas').width, document.querySelector('canvas').clientWidth]"
    )
    assert wide == 3 * shown


@slow
def test_everything_one_can_use_has_a_name_for_a_screen_reader(
    open_desk: OpenDesk, collecting: tuple[str, Path]
) -> None:
    desk = open_desk(collecting[0])
    expect(desk.page.get_by_role("button", name="It is 9")).to_be_attached()
    tree = desk.page.context.new_cdp_session(desk.page).send("Accessibility.getFullAXTree")
    nodes = [
        (node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree["nodes"] if not node["ignored"]
    ]
    usable = [(role, name) for role, name in nodes if role in {"button", "link", "application", "meter", "textbox"}]
    assert len([role for role, _ in usable if role == "meter"]) == 10
    assert len([role for role, _ in usable if role == "button"]) >= 15
    assert [role for role, name in usable if not name.strip()] == []
    assert {"banner", "main", "contentinfo", "navigation"} <= {role for role, _ in nodes}


# Pictures


@slow
def test_a_chosen_file_is_read_and_shown(desk: Desk) -> None:
    upload(desk, picture_of_seven())
    desk.expect_label("7")
    assert desk.ink() > 1000
    desk.draw("1")  # a new drawing
    desk.expect_label("1")
    desk.page.keyboard.press("Control+z")
    desk.expect_label("7")


@slow
@pytest.mark.parametrize("event", ["paste", "drop"])
def test_a_file_is_pasted_or_dropped(desk: Desk, event: str) -> None:
    hand_over(desk, picture_of_seven(), event)
    desk.expect_label("7")


@slow
def test_a_large_photo_is_made_smaller_before_it_is_sent(desk: Desk) -> None:
    noise = np.random.default_rng(0).integers(0, 40, (900, 1800, 3), dtype=np.uint8)
    image = Image.open(io.BytesIO(picture_of_seven((1800, 900))))
    file = io.BytesIO()
    Image.fromarray(np.asarray(image) - noise // 2).save(file, "JPEG", quality=100, subsampling=0)
    assert file.tell() > 2**20
    desk.record_bodies()
    upload(desk, file.getvalue(), "photo.jpg", "image/jpeg")
    desk.expect_label("7")
    sent = Image.open(io.BytesIO(desk.last_body()))
    assert (sent.format, sent.size) == ("JPEG", (1600, 800))


@slow
def test_of_many_pictures_the_newest_are_kept_and_the_others_closed(desk: Desk) -> None:
    upload(desk, picture_of_seven((3000, 2000)))  # shown smaller, however few its bytes are
    desk.expect_label("7")
    told = desk.page.evaluate(
        """async () => {
          const { openPicture } = await import("/page/pictures.js");
          const { BLANK, History, ofPicture, withStroke } = await import("/page/scenes.js");
          const canvas = Object.assign(document.createElement("canvas"), { width: 3000, height: 20 });
          const blob = await new Promise((resolve) => canvas.toBlob(resolve));
          const history = new History(), pictures = [];
          for (let count = 0; count < 12; count += 1) {
            pictures.push(await openPicture(blob));
            history.push(ofPicture(pictures.at(-1)));
            history.push(BLANK);
          }
          history.undo();
          history.undo();
          history.undo();
          history.push(withStroke(BLANK, [])); // the last picture cannot be restored any more
          return [pictures.map((each) => each.bitmap.width), pictures[0].file === blob];
        }"""
    )
    assert told == [[0, 0, *[1600] * 9, 0], True]


@slow
def test_a_file_that_is_not_an_image(desk: Desk) -> None:
    upload(desk, b"%PDF-1.4 not a picture", "letter.pdf", "application/pdf")
    expect(desk.page.get_by_role("alert")).to_contain_text(re.compile("^This image is a PDF document"))
    desk.draw("1")
    desk.expect_label("1")
    expect(desk.page.get_by_role("alert")).to_be_hidden()


# What can go wrong


@slow
def test_a_server_that_is_away_is_asked_again(desk: Desk) -> None:
    desk.page.context.set_offline(True)
    desk.draw("7")
    expect(desk.page.get_by_role("alert")).to_contain_text("does not answer")
    assert desk.ink() > 0
    desk.page.context.set_offline(False)
    desk.expect_label("7")
    expect(desk.page.get_by_role("alert")).to_be_hidden()


@slow
def test_a_busy_server_is_left_alone_for_as_long_as_it_wants(desk: Desk) -> None:
    times: list[float] = []
    problem = {"title": "Service Unavailable", "status": 503, "detail": "512 images wait"}

    def refuse(route: Any) -> None:
        times.append(desk.page.evaluate("performance.now()"))
        route.fulfill(status=503, headers={"Retry-After": "2"}, json=problem)

    desk.page.route("**/predict*", refuse, times=1)
    desk.draw("7")
    expect(desk.page.get_by_role("alert")).to_contain_text("Trying again in 2 s")
    with desk.page.expect_request("**/predict*"):
        pass
    assert desk.page.evaluate("performance.now()") - times[0] > 1900
    desk.expect_label("7")


@slow
def test_the_key_is_asked_for_and_forgotten_with_the_tab(open_desk: OpenDesk, live_server: MakeServer) -> None:
    desk = open_desk(live_server(api_key=KEY).url)
    page = desk.page
    field = page.get_by_label("API key", exact=True)
    field.fill("schlüssel-mit-umlaut")  # no header can contain it: the browser refuses it
    desk.press("Use this key")
    assert field.evaluate("element => element.validity.patternMismatch")
    field.fill("wrong-wrong-wrong-wrong")
    desk.press("Use this key")
    expect(page.get_by_role("dialog")).to_contain_text("was not accepted")
    page.keyboard.press("Escape")
    desk.draw("7")
    expect(page.get_by_role("alert")).to_contain_text("API key")
    desk.press("Enter the key")
    field.fill(f"  {KEY} ")
    page.keyboard.press("Enter")
    desk.expect_label("7")
    page.get_by_role("link", name="Model").click()  # the link alone would not send the key
    expect(page.get_by_role("dialog")).to_contain_text("SHA-256")
    expect(page.get_by_role("link", name="Model card")).to_be_hidden()
    page.keyboard.press("Escape")
    assert page.evaluate("[Object.values(sessionStorage), Object.values(localStorage)]") == [[KEY], []]
    page.reload()
    desk.draw("7")
    desk.expect_label("7")


@slow
def test_the_model_is_described_and_the_drawing_stays(desk: Desk) -> None:
    desk.draw("7")
    desk.expect_label("7")
    desk.page.get_by_role("link", name="Model").click()
    dialog = desk.page.get_by_role("dialog")
    expect(dialog).to_contain_text("0, 1, 2, 3, 4, 5, 6, 7, 8, 9")
    with desk.page.context.expect_page() as opened:
        dialog.get_by_role("link", name="Model card").click()
    expect(opened.value.locator("body")).to_contain_text("pipeline_tag")
    opened.value.close()
    desk.press("Close")
    desk.expect_label("7")


# Teaching


@slow
def test_a_wrong_digit_is_corrected_and_taken_back(open_desk: OpenDesk, collecting: tuple[str, Path]) -> None:
    url, folder = collecting
    desk = open_desk(url)
    page = desk.page
    expect(page.locator("#teach")).to_contain_text("Wrong? Click the right digit")
    expect(page.locator("#teach")).to_be_hidden()  # nothing is wrong yet
    desk.press("It is 7")  # nothing is drawn, so nothing is kept
    desk.draw("1")
    desk.expect_label("1")
    expect(page.locator("#teach")).to_be_visible()
    desk.press("It is 7")
    expect(page.locator("#toast")).to_contain_text("Kept as a 7. 1 picture so far.")
    expect(page.locator("#status")).to_contain_text("Kept as a 7. 1 picture so far. The Undo button")
    desk.expect_nothing()  # the surface is free for the next one
    (kept,) = folder.rglob("*.png")
    assert kept.parent.name == "7"
    assert Image.open(kept).size == (28, 28)
    page.locator("#toast").get_by_role("button", name="Undo").click()
    desk.expect_label("1")  # and back again
    assert list(folder.rglob("*.png")) == []
    expect(page.locator("#surface")).to_be_focused()
    expect(page.locator("#teach-keys")).to_have_text("0…9 teach")
    page.keyboard.press("1")
    expect(page.locator("#toast")).to_contain_text("Kept as a 1.")
    assert [path.parent.name for path in folder.rglob("*.png")] == ["1"]


def kept_in(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.rglob("*.png"))


@slow
def test_undoing_back_to_what_was_kept_takes_it_back(open_desk: OpenDesk, collecting: tuple[str, Path]) -> None:
    url, folder = collecting
    before = kept_in(folder)
    desk = open_desk(url)
    for digit, label in (("2", "3"), ("4", "9")):
        desk.draw(digit)
        desk.expect_label(digit)
        desk.press(f"It is {label}")
        desk.expect_nothing()
    assert kept_in(folder) == sorted([*before, "3", "9"])
    with desk.page.expect_response(lambda answer: answer.request.method == "DELETE"):
        desk.page.keyboard.press("Control+z")
    desk.expect_label("4")
    expect(desk.page.locator("#toast")).to_be_hidden()
    assert kept_in(folder) == sorted([*before, "3"])
    with desk.page.expect_response(lambda answer: answer.request.method == "DELETE"):
        for _ in range(3):  # both strokes of the 4, and then the clearing before them
            desk.page.keyboard.press("Control+z")
    desk.expect_label("2")
    assert kept_in(folder) == before


@slow
def test_two_digits_are_not_kept_as_one(open_desk: OpenDesk, collecting: tuple[str, Path]) -> None:
    url, folder = collecting
    before = kept_in(folder)
    desk = open_desk(url)
    desk.draw("17")
    expect(desk.page.locator("#sentence")).to_contain_text("There is more than one thing to read.")
    expect(desk.page.locator("#teach")).to_be_hidden()
    desk.press("It is 3")
    expect(desk.page.get_by_role("alert")).to_contain_text("The picture was not kept. The server says: ")
    assert kept_in(folder) == before
    assert desk.ink() > 0


@slow
def test_a_server_that_does_not_collect_offers_no_correction(desk: Desk) -> None:
    desk.draw("1")
    desk.expect_label("1")
    expect(desk.page.locator("#teach")).to_be_hidden()
    expect(desk.page.locator("#classes button")).to_have_count(0)
    desk.page.locator("#surface").focus()
    desk.page.keyboard.press("7")
    desk.page.wait_for_timeout(100)
    assert [each.url for each in desk.requests if "/collect" in each.url] == []


# Looks


@slow
def test_the_theme_follows_the_system_until_one_is_chosen(open_desk: OpenDesk) -> None:
    desk = open_desk(color_scheme="dark")
    page = desk.page

    def luminance() -> float:
        colour = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 765

    assert luminance() < 0.2
    page.emulate_media(color_scheme="light")
    button = page.get_by_role("button", name="Dark colours")
    expect(button).to_have_attribute("aria-pressed", "false")
    assert luminance() > 0.8
    button.click()
    assert luminance() < 0.2
    page.reload()
    assert luminance() < 0.2
    expect(button).to_have_attribute("aria-pressed", "true")


@slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(open_desk: OpenDesk, scheme: str) -> None:
    desk = open_desk(color_scheme=scheme)
    pairs = ["text page", "text paper", "muted page", "muted paper", "accent page", "on-accent accent", "text notice"]
    pairs += ["ink paper", "page text", "text tint", "doubt paper", "muted bar"]
    colours = desk.page.evaluate(
        """(names) => Object.fromEntries(names.map((name) => {
          const probe = document.body.appendChild(document.createElement("i"));
          probe.style.color = `var(--${name})`;
          const context = new OffscreenCanvas(1, 1).getContext("2d"); // mixed colours have many notations
          context.fillStyle = getComputedStyle(probe).color;
          context.fillRect(0, 0, 1, 1);
          return [name, [...context.getImageData(0, 0, 1, 1).data].slice(0, 3)];
        }))""",
        " ".join(pairs).split(),
    )
    for foreground, background in map(str.split, pairs):
        assert contrast(colours[foreground], colours[background]) >= 4.5, f"{foreground} on {background}"


def contrast(one: list[float], other: list[float]) -> float:
    """Return the contrast of two sRGB colours, 1 … 21 (WCAG 2.2)."""
    light = sorted(luminance_of(colour) for colour in (one, other))
    return (light[1] + 0.05) / (light[0] + 0.05)


def luminance_of(colour: list[float]) -> float:
    levels = np.array(colour) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@slow
@pytest.mark.parametrize("names", [["no", "yes"], [chr(code) for code in range(48, 110)], ["Ankle boot"] * 20])
@pytest.mark.parametrize("context", [{}, PHONE], ids=["desktop", "phone"])
def test_other_classes_fit_the_page(open_desk: OpenDesk, names: list[str], context: dict[str, Any]) -> None:
    desk = open_desk(**context)
    page = desk.page
    card = {"classes": names, "collecting": True}
    page.route("**/model", lambda route: route.fulfill(content_type="application/json", body=json.dumps(card)))
    page.reload()
    expect(page.locator("#classes li")).to_have_count(len(names))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    widths = page.locator("#classes .bar").evaluate_all("bars => bars.map((bar) => bar.getBoundingClientRect().width)")
    assert min(widths) >= 16
    expect(page.locator("#teach-keys")).to_have_count(1)
    keys = page.locator("#teach-keys").evaluate("element => element.hidden ? '' : element.textContent")
    assert keys == ("" if len(names[0]) > 1 else f"{names[0]}…{names[-1]} teach")


@slow
def test_reduced_motion_is_respected(open_desk: OpenDesk) -> None:
    for setting, duration in (("no-preference", "0.16s"), ("reduce", "0s")):
        desk = open_desk(reduced_motion=setting)
        style = "getComputedStyle(document.querySelector('.bar'), '::before').transitionDuration"
        assert desk.page.evaluate(style) == duration


@slow
def test_the_api_can_be_tried_in_its_documentation(open_desk: OpenDesk) -> None:
    desk = open_desk()
    page = desk.page
    page.goto(desk.url + "/docs")
    page.locator(".opblock-summary").filter(has_text="/model").first.click()
    page.get_by_role("button", name="Try it out").first.click()
    page.get_by_role("button", name="Execute").first.click()
    expect(page.locator(".responses-table.live-responses-table .response-col_status").last).to_contain_text("200")
