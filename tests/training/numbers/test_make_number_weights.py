"""`scripts/make_number_weights.py`: its options, what it counts, and that all of it runs."""

from __future__ import annotations

import csv
import math
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import make_number_weights as script
from mnist_cnn.evaluation.number_calibration import choose_threshold
from mnist_cnn.files import write_json
from mnist_cnn.reading.numbers import NumberReader, NumberReading, NumberReason
from mnist_cnn.reading.numbers.number_metadata import NumberMetadata
from mnist_cnn.reading.numbers.number_reader import SHIPPED_WEIGHTS
from mnist_cnn.runs import RunFolder
from mnist_cnn.training.numbers.line_plan import LinePlan
from mnist_cnn.training.numbers.line_training import PLAN
from reading.numbers import bars
from training.numbers.composed import plan, traces

RIGHT = (NumberReading("12", 0.9, (), ""), "12")
WRONG = (NumberReading("34", 0.8, (), ""), "35")
UNSURE = (NumberReading("56", 0.3, (), NumberReason.UNCERTAIN), "56")
SEVERAL = (NumberReading("78", 0.95, (), NumberReason.SEVERAL), "78")
NO_NUMBER = (NumberReading("9", 0.85, (), ""), "")


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["make_number_weights.py", *map(str, words)])


def test_options(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    call(monkeypatch, "--steps", 7, "--tune-on", "cheques", "ledgers")
    options = script.parse_options()
    assert (options.steps, options.start_from, options.runs_dir) == (7, None, Path("runs/weights"))
    assert options.tune_on == [Path("cheques"), Path("ledgers")]
    call(monkeypatch, "--steps", 7, "--minutes", 1)
    with pytest.raises(SystemExit):
        script.parse_options()
    assert "not allowed with argument" in capsys.readouterr().err


def test_a_threshold_is_chosen_on_what_it_may_accept() -> None:
    confidences, right = script.judged([RIGHT, WRONG, UNSURE, SEVERAL, NO_NUMBER])
    assert confidences.tolist() == [0.9, 0.8, 0.3, 0.85]
    assert right.tolist() == [True, False, True, False]
    metadata = NumberMetadata(tuple("0123456789"))
    threshold = choose_threshold(metadata, confidences, right).rejection_threshold
    assert threshold == pytest.approx(metadata.confidence(math.log(0.9)))
    with pytest.raises(SystemExit, match="No number was read"):
        script.judged([SEVERAL])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--steps", 3), "begun with --steps 2, not 3"),
        (("--seed", 1), "begun with --seed 0, not 1"),
        (("--start-from", SHIPPED_WEIGHTS), "begun with random weights"),
    ],
)
def test_a_training_that_is_resumed_keeps_its_settings(
    words: tuple[object, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path)
    write_json(tmp_path / PLAN, plan(steps=2).as_dict())
    run.state.touch()
    call(monkeypatch, *words)
    with pytest.raises(SystemExit, match=message):
        script.refuse_other_settings(script.parse_options(), run)


def test_pictures_without_a_number_count_only_among_the_accepted() -> None:
    found = script.measured("codes", [RIGHT, WRONG, UNSURE, SEVERAL, NO_NUMBER])
    assert (found.count, found.read, found.accepted) == (4, 3 / 4, 2 / 4)
    assert found.wrong == pytest.approx(2 / 3)


@pytest.mark.slow
def test_weights_and_card_are_made_from_the_included_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, codes, weights = tmp_path / "runs" / script.RUN, tmp_path / "codes", tmp_path / "new.onnx"
    run.mkdir(parents=True)
    settings = plan(steps=2, learning_rate=1e-6, widths=LinePlan(steps=1).widths, validate_every=1)
    write_json(run / PLAN, settings.as_dict())
    for name in ("traces.npz", "held-out-traces.npz"):
        shutil.copyfile(traces(), run / name)
    codes.mkdir()
    picture = np.full((60, 150), 240, np.uint8)
    cv2.imwrite(str(codes / "a.png"), cv2.putText(picture, "2750", (10, 45), 0, 1.3, 20, 2, cv2.LINE_AA))
    with (codes / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("file", "text"), ("a.png", "2750")])
    for name, value in {"MEASURED_ON": 64, "SCORED_ON": 16, "CHECKED_ON": 16, "LEAST_READ": 0.0}.items():
        monkeypatch.setattr(script, name, value)
    monkeypatch.setattr(script, "SHIPPED_WEIGHTS", weights)
    monkeypatch.setattr(script, "CARD", tmp_path / "NUMBERS.md")
    start = shutil.copyfile(SHIPPED_WEIGHTS, tmp_path / "start.onnx")
    call(
        monkeypatch,
        "--runs-dir",
        tmp_path / "runs",
        "--start-from",
        start,
        "--average-with",
        start,
        "--workers",
        0,
        "--tune-on",
        codes,
    )
    script.main()
    assert "of the composed lines read whole" in capsys.readouterr().out
    before, after = NumberReader.load(SHIPPED_WEIGHTS), NumberReader.load(weights)
    line = bars.line("48213")
    np.testing.assert_allclose(after.network.run(line)[0], before.network.run(line)[0], atol=3)
    card = (tmp_path / "NUMBERS.md").read_text("utf-8")
    assert "start.onnx" in card
    assert "codes" in card
