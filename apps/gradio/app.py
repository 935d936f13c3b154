"""The recogniser behind a Gradio page: draw a digit, or upload a picture. Runs as a Hugging Face Space."""

from __future__ import annotations

from typing import Any

import gradio as gr
from PIL import Image

from mnist_cnn import InputError, Recognizer
from mnist_cnn.reading.ink import prepare
from mnist_cnn.reading.recognizer import Reason

PAPER = Image.new("RGB", (400, 400), "white")  # on an empty canvas, Gradio waits for its pen to be chosen first
recognizer = Recognizer.load(threads=1)


def read(given: Image.Image | dict[str, Any] | None) -> tuple[dict[str, float], str, Image.Image | None]:
    """Read a picture or a drawing.

    Args:
        given: A picture; a drawing, whose "composite" is the paper with all strokes; or None after clearing.

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


with gr.Blocks(title="Handwritten digits", analytics_enabled=False) as demo:
    gr.Markdown("# Handwritten digits")
    with gr.Row():
        with gr.Column():
            with gr.Tab("Draw"):
                pen = gr.Brush(default_size=24, colors=["#000000"], color_mode="fixed")
                canvas = gr.Sketchpad(
                    PAPER, type="pil", brush=pen, canvas_size=PAPER.size, fixed_canvas=True, layers=False, transforms=()
                )
            with gr.Tab("Picture"):
                picture = gr.Image(type="pil", image_mode=None)
        with gr.Column():
            says = gr.Textbox(label="Result")
            probabilities = gr.Label(label="Probabilities")
            seen = gr.Image(label="What the network sees", format="png", buttons=[], height=300)
    answers = [probabilities, says, seen]
    # The `change` event of a drawing lags one stroke behind; `input` does not.
    canvas.input(read, canvas, answers, api_name="draw", trigger_mode="always_last", show_progress="hidden")
    canvas.clear(lambda: PAPER, None, canvas, api_visibility="private")
    picture.change(read, picture, answers, api_name="read", show_progress="hidden")

if __name__ == "__main__":
    demo.launch()
