from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.errors import InputError
from mnist_cnn.evaluation.findings import gather
from mnist_cnn.evaluation.metrics import METRICS
from mnist_cnn.evaluation.predictions import Predictions
from mnist_cnn.evaluation.robustness import CorruptionScore, Robustness
from mnist_cnn.runs import RunFolder

if TYPE_CHECKING:
    import keras


class Page(HTMLParser):
    """Collects what a browser would fetch, the text, and whether every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)
        given = dict(attrs)
        address = given.get("src") or (given.get("href") if tag == "link" else None)
        if address:
            self.fetched.append(address)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data


def report_on(run: RunFolder, *arguments: Any, **options: Any) -> Path:
    from mnist_cnn.evaluation.report import write_report

    return write_report(run, *arguments, **options)


def front_matter(card: str) -> dict[str, Any]:
    _, yaml_text, _ = card.split("---\n", 2)
    parsed = yaml.safe_load(yaml_text)
    assert isinstance(parsed, dict)
    return parsed


@pytest.fixture(scope="module")
def reported(make_run: Callable[..., RunFolder], network: keras.Model, said: Predictions) -> RunFolder:
    run = make_run()
    path = report_on(run, network, said, {"seconds": 60.0}, command="mnist-cnn train --seed 1")
    assert path == run.report
    return run


def test_the_page_is_complete_and_fetches_nothing(reported: RunFolder) -> None:
    page = Page(reported.report.read_text())
    assert not page.open
    assert {address.split(",")[0] for address in page.fetched} <= {"data:image/png;base64", "data:"}
    assert "script" not in page.tags
    assert "mnist-cnn train --seed 1" in page.text
    assert "Training ran for 3 of at most 5 epochs" in page.text
    assert page.tags.count("img") == len(list(reported.figures.iterdir())) == 10
    assert reported.report.stat().st_size < 3_000_000
    assert not list(reported.root.rglob(".*")), "no temporary file may remain"


def test_page_and_card_show_every_metric(reported: RunFolder, said: Predictions) -> None:
    page, card = Page(reported.report.read_text()).text, reported.model_card.read_text()
    for metric in METRICS:
        text = metric.text(metric.compute(said.labels, said.probabilities)).replace("%", "\u202f%")
        assert f"{metric.label}: {text}" in page
        assert metric.meaning in page
        assert f"| {metric.label} | {text} |" in card


def test_metrics_json_has_data_metrics_and_training(
    reported: RunFolder, network: keras.Model, said: Predictions
) -> None:
    record = json.loads(reported.metrics.read_text())
    assert (record["dataset"], record["split"], record["n"]) == ("digits", "test", 200)
    assert record["accuracy"] == pytest.approx(np.mean(~said.is_wrong))
    assert record["training"] == {"parameters": network.count_params(), "epochs": 3, "seconds": 4.5}
    assert record["without_label_errors"] is None


def test_a_bare_model_is_reported_without_training_and_with_its_notice(
    tmp_path: Path, network: keras.Model, said: Predictions
) -> None:
    dataset = dataclasses.replace(said.dataset, notice="These are not MNIST.")
    run = RunFolder(tmp_path / "bare")
    report_on(run, network, Predictions(dataset, said.probabilities))
    text = Page(run.report.read_text()).text
    assert "How it was trained" not in text
    assert "not recorded here" in text
    assert text.index("These are not MNIST.") < text.index("accuracy")
    assert not (run.figures / "learning-curves.png").exists()
    card = run.model_card.read_text()
    assert "These are not MNIST." in card
    assert front_matter(card)["library_name"] == "keras"


def test_corruptions_are_reported_if_they_were_measured(
    tmp_path: Path, reported: RunFolder, network: keras.Model, said: Predictions
) -> None:
    example = np.tile(said.dataset.images[:1], (2, 1, 1))
    scores = CorruptionScore("fog", 0.125, 0.75, example), CorruptionScore("zigzag", 0.5, 0.625, example)
    run = RunFolder(tmp_path)
    report_on(run, network, said, robustness=Robustness(200, scores))
    text = " ".join(Page(run.report.read_text()).text.split())
    assert "How robust is it?" in text
    assert "fog12.50 %75.00 %" in text
    assert "worst12.50 %62.50 %" in text
    assert (run.figures / "corrupted-digits.png").exists()
    assert json.loads(run.metrics.read_text())["corruptions"]["prepared_worst"] == 0.625
    assert "How robust is it?" not in reported.report.read_text()
    assert json.loads(reported.metrics.read_text())["corruptions"] is None


def test_the_model_card_can_be_read_by_machines(reported: RunFolder, said: Predictions) -> None:
    card = front_matter(reported.model_card.read_text())
    (index,) = card["model-index"]
    (result,) = index["results"]
    values = {each["type"]: each["value"] for each in result["metrics"]}
    assert values["accuracy"] == pytest.approx(np.mean(~said.is_wrong))
    assert result["dataset"] == {"name": "digits", "type": "digits", "split": "test"}


def test_hostile_names_stay_text(tmp_path: Path, network: keras.Model, said: Predictions) -> None:
    from mnist_cnn.evaluation.model_card import model_card
    from mnist_cnn.evaluation.report import render_page

    evil = '<script>alert("1")</script>'
    names = (evil, "a|b", 'quote": "x', "line\nbreak", *"456789")
    dataset = dataclasses.replace(said.dataset, name=f"{evil}: [x", class_names=names, notice=evil)
    findings = gather(RunFolder(tmp_path / "evil"), network, Predictions(dataset, said.probabilities), {}, evil)
    page = Page(render_page(findings, {}))
    assert "script" not in page.tags
    assert page.text.count(evil) > 3
    card = model_card(findings)
    (index,) = front_matter(card)["model-index"]
    assert index["results"][0]["dataset"]["name"] == f"{evil}: [x"
    assert "<script>" not in card.split("```sh")[0].split("---\n", 2)[2]


@pytest.mark.parametrize("shift", [0, 1])
def test_a_perfect_and_a_useless_model_can_be_reported(
    tmp_path: Path, network: keras.Model, digits: Dataset, shift: int
) -> None:
    few = digits.subset(np.arange(3))
    sure = np.eye(10, dtype=np.float32)[(few.labels + shift) % 10]
    path = report_on(RunFolder(tmp_path), network, Predictions(few, sure))
    text = Page(path.read_text()).text
    assert ("classified all 3 test images of digits correctly" in text) == (shift == 0)
    assert (tmp_path / "figures" / "misclassified.png").exists() == (shift == 1)


def test_a_damaged_history_is_named(
    make_run: Callable[..., RunFolder], network: keras.Model, said: Predictions
) -> None:
    run = make_run()
    run.history_json.write_text("{")
    with pytest.raises(InputError, match=r"history\.json is not valid JSON"):
        report_on(run, network, said)
    assert not run.report.exists()
