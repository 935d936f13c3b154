"""The readers behind a Gradio page: draw a digit or a number, or upload a picture. Runs as a Hugging Face Space."""

from __future__ import annotations

from typing import Any, TypeAlias

import gradio as gr
from PIL import Image, ImageChops

from mnist_cnn import InputError, Recognizer
from mnist_cnn.reading.ink import prepare, read_image
from mnist_cnn.reading.numbers import NumberReader, NumberReason
from mnist_cnn.reading.recognizer import Reason

Given: TypeAlias = "Image.Image | dict[str, Any] | None"
"""A picture; a drawing, whose "composite" is the paper with all strokes; or None after clearing."""

PAPER = Image.new("RGB", (400, 400), "white")  # on an empty canvas, Gradio waits for its pen to be chosen first
WIDE_PAPER = Image.new("RGB", (900, 300), "white")
MARGIN = 20  # pixels of paper that are kept around the ink of a number
recognizer = Recognizer.load(threads=1)
number_reader = NumberReader.load(threads=1)


def read(given: Given) -> tuple[dict[str, float], str, Image.Image | None]:
    """Read the digit on a picture or a drawing.

    Returns:
        Probabilities by class name, a sentence, and the 28×28 picture that the network saw, ten times as large.
    """
    image = given["composite"] if isinstance(given, dict) else given
    if image is None:
        return {}, Reason.BLANK.text, None
    try:
        prepared = prepare(image)
    except InputError as error:
        raise gr.Error(str(error)) from None
    (reading,) = recognizer.read_prepared([prepared])
    seen = Image.fromarray(prepared.image).resize((280, 280), Image.Resampling.NEAREST)
    probabilities = dict(zip(recognizer.class_names, map(float, reading.probabilities), strict=True))
    says = Reason(reading.reason).text if reading.reason else "A digit."
    return probabilities if reading.has_ink else {}, says, seen


def read_number(given: Given, length: str, pattern: str) -> tuple[str, str, tuple[Image.Image, list[Any]] | None]:
    """Read the number on a picture or a drawing.

    Args:
        given: What to read. Of a drawing, only the part with ink is read.
        length: Number of digits, such as 5 or 3-6; empty for any.
        pattern: Regular expression over digits; empty for any digits.

    Returns:
        The number, a sentence, and what was read with a box and the confidence of each digit.
    """
    image = _ink_of(given["composite"]) if isinstance(given, dict) else given
    if image is None:
        return "", NumberReason.BLANK.text, None
    try:
        seen = Image.fromarray(read_image(image))  # upright, as the boxes are
        reading = number_reader.read(seen, length=length.strip() or None, pattern=pattern.strip() or None)
    except InputError as error:
        raise gr.Error(str(error)) from None
    says = NumberReason(reading.reason).text if reading.reason else "Accepted."
    boxes = []
    for place, digit in enumerate(reading.digits, 1):
        edges = (digit.box.left, digit.box.top, digit.box.right, digit.box.bottom)
        within = (max(0, min(round(edge), seen.size[side % 2])) for side, edge in enumerate(edges))
        boxes.append((tuple(within), f"{place}: {digit.text}, {digit.confidence:.0%}"))  # labels have to differ
    return reading.text, f"{says} {reading.confidence:.0%} sure.", (seen, boxes)


def _ink_of(drawing: Image.Image) -> Image.Image | None:
    """Return the part of a drawing with ink on it; None if there is none."""
    grey = drawing.convert("L")
    ink = ImageChops.invert(grey).getbbox()
    if ink is None:
        return None
    left, top, right, bottom = ink
    return grey.crop((max(0, left - MARGIN), max(0, top - MARGIN), right + MARGIN, bottom + MARGIN))


def canvas_and_picture(paper: Image.Image, width: int) -> tuple[gr.Sketchpad, gr.Image]:
    """Add a tab to draw on, with a pen of this width in pixels, and one for a picture."""
    with gr.Tab("Draw"):
        pen = gr.Brush(default_size=width, colors=["#000000"], color_mode="fixed")
        canvas = gr.Sketchpad(
            paper, type="pil", brush=pen, canvas_size=paper.size, fixed_canvas=True, layers=False, transforms=()
        )
        canvas.clear(lambda: paper, None, canvas, api_visibility="private")
    with gr.Tab("Picture"):
        picture = gr.Image(type="pil", image_mode=None)
    return canvas, picture


with gr.Blocks(title="Handwritten digits", analytics_enabled=False) as demo:
    gr.Markdown("# Handwritten digits")
    with gr.Tab("Digit"), gr.Row():
        with gr.Column():
            canvas, picture = canvas_and_picture(PAPER, 24)
        with gr.Column():
            says = gr.Textbox(label="Result")
            probabilities = gr.Label(label="Probabilities")
            seen = gr.Image(label="What the network sees", format="png", buttons=[], height=300)
    with gr.Tab("Number"):
        wide_canvas, wide_picture = canvas_and_picture(WIDE_PAPER, 6)
        with gr.Row():
            number = gr.Textbox(label="Number")
            number_says = gr.Textbox(label="Result", scale=2)
            length = gr.Textbox(label="Number of digits, if known", placeholder="5 or 3-6")
            pattern = gr.Textbox(label="Pattern, if known", placeholder=r"[1-9]\d{4}")
        boxes = gr.AnnotatedImage(label="Digits", height=260)
    # The `change` event of a drawing lags one stroke behind; `input` does not.
    as_drawn: dict[str, Any] = {"trigger_mode": "always_last", "show_progress": "hidden"}
    canvas.input(read, canvas, [probabilities, says, seen], api_name="draw", **as_drawn)
    picture.change(read, picture, [probabilities, says, seen], api_name="read", show_progress="hidden")
    known, answers = [length, pattern], [number, number_says, boxes]
    wide_canvas.input(read_number, [wide_canvas, *known], answers, api_name="write_number", **as_drawn)
    wide_picture.change(read_number, [wide_picture, *known], answers, api_name="read_number", show_progress="hidden")

if __name__ == "__main__":
    demo.launch()
