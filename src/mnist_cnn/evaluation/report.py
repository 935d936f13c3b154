"""What evaluation writes into a folder: numbers, predictions, pictures, a model card, and a page with all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.config import flatten, settings_in_use
from mnist_cnn.evaluation import narrative, saliency
from mnist_cnn.evaluation import predictions as evaluation
from mnist_cnn.evaluation.figures import (
    architecture,
    classes,
    confusion,
    corrupted_digits,
    disagreement,
    learning,
    reliability,
    samples,
    style,
)
from mnist_cnn.evaluation.findings import Findings, gather, metrics_record
from mnist_cnn.evaluation.layers import first_kernel
from mnist_cnn.evaluation.members import Members
from mnist_cnn.evaluation.metrics import confusion_rates
from mnist_cnn.evaluation.model_card import model_card
from mnist_cnn.evaluation.predictions import Predictions
from mnist_cnn.evaluation.robustness import Robustness
from mnist_cnn.evaluation.templates import render
from mnist_cnn.evaluation.templates.pictures import embed
from mnist_cnn.files import write_json, write_text
from mnist_cnn.reading.scaling import Adoption
from mnist_cnn.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mnist_cnn.models.backend import keras

ERRORS_SHOWN = DISPUTED_SHOWN = 40
SALIENCY_RIGHT, SALIENCY_WRONG = 6, 2
SAMPLES_RIGHT, SAMPLES_WRONG = 16, 8
TABLE_ROWS = 10  # most confused pairs listed


def write_report(
    run: RunFolder,
    model: keras.Model,
    predictions: Predictions,
    training: Mapping[str, Any] | None = None,
    command: str = "",
    trained_in: RunFolder | None = None,
    adoption: Adoption | None = None,
    robustness: Robustness | None = None,
) -> Path:
    """Write metrics, predictions, pictures, the model card and the report into a run's folder, or any other.

    Args:
        run: Where to write.
        model: The evaluated model, for its architecture, filters and saliency.
        predictions: What it predicted for the data set.
        training: What training measured, such as `{"seconds": 171.2}`, for `metrics.json` and the headline.
        command: The exact command that repeats this result; derived from the folder if it is empty.
        trained_in: The run whose settings, history and environment are reported, if that is not `run` itself. The
            report leaves out what it does not contain.
        adoption: How a third-party model was adapted, from `models.persistence.read_model`.
        robustness: What corruptions do to the model, if that was measured.

    Returns:
        The report's path. The report is written last, so where it exists, everything else does.

    Raises:
        InputError: The predictions are not probabilities, or a file of the run is damaged.
        WriteError: The folder cannot be written.
    """
    findings = gather(trained_in or run, model, predictions, training or {}, command, adoption, robustness)
    evaluation.write_predictions(run.predictions, predictions)
    write_json(run.metrics, metrics_record(findings))
    for outdated in run.figures.glob("*.png"):
        outdated.unlink()  # an earlier evaluation may have drawn what this one does not
    pictures = _save_figures(run.figures, draw(findings, model))
    pictures |= {path.stem: path for path in run.exploration.glob("*.png")}
    write_text(run.model_card, model_card(findings))
    write_text(run.report, render_page(findings, pictures))
    return run.report


def draw(findings: Findings, model: keras.Model) -> Iterator[tuple[str, Figure]]:
    """Draw every picture that these findings allow, as (name, figure), one at a time to save memory."""
    measured, said = findings.metrics, findings.predictions
    names = said.dataset.class_names
    counts = np.array(measured.confusion)
    if findings.history:
        yield "learning-curves", learning.learning_curves(findings.history, findings.monitor)
    yield "confusion-counts", confusion.confusion_matrix(counts, names)
    yield "confusion-shares", confusion.confusion_matrix(confusion_rates(counts), names)
    yield "class-quality", classes.class_quality(measured.classes)
    yield "reliability", reliability.reliability(measured.calibration, measured.scores["expected_calibration_error"])
    if findings.robustness:
        yield "corrupted-digits", corrupted_digits.corrupted_digits(findings.robustness.scores)
    yield "sample-predictions", _draw_samples(said)
    if measured.errors:
        yield "misclassified", _draw_misclassified(said)
    if findings.members and len(findings.members.disputed):
        yield "disagreements", _draw_disagreements(findings.members)
    yield "saliency", _draw_saliency(said, model)
    if findings.members:
        return  # the reports of the members show their networks
    yield "architecture", architecture.architecture(findings.layers)
    kernel = first_kernel(model)
    if kernel is not None:
        yield "first-filters", samples.first_filters(kernel)


def _draw_samples(said: Predictions) -> Figure:
    right, wrong = np.flatnonzero(~said.is_wrong)[:SAMPLES_RIGHT], np.flatnonzero(said.is_wrong)[:SAMPLES_WRONG]
    return samples.sample_predictions(*_pick(said, np.concatenate([right, wrong])), said.dataset.class_names)


def _draw_misclassified(said: Predictions) -> Figure:
    chosen = said.worst_errors[:ERRORS_SHOWN]
    return samples.misclassified(*_pick(said, chosen), said.confidence[chosen], said.dataset.class_names)


def _draw_disagreements(members: Members) -> Figure:
    chosen, whole = members.disputed[:DISPUTED_SHOWN], members.ensemble
    images, labels, predicted = _pick(whole, chosen)
    return disagreement.disagreements(images, labels, members.answers[:, chosen], predicted, whole.dataset.class_names)


def _draw_saliency(said: Predictions, model: keras.Model) -> Figure:
    _, first_of_class = np.unique(said.predicted[~said.is_wrong], return_index=True)
    right = np.flatnonzero(~said.is_wrong)[first_of_class][:SALIENCY_RIGHT]
    chosen = np.concatenate([right, said.worst_errors[:SALIENCY_WRONG]])
    images, labels, predicted = _pick(said, chosen)
    maps = saliency.occlusion_maps(lambda batch: evaluation.predict_images(model, batch), images)
    return samples.saliency_overlays(images, maps, labels, predicted, said.dataset.class_names)


def _pick(said: Predictions, chosen: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    return said.dataset.images[chosen], said.labels[chosen], said.predicted[chosen]


def _save_figures(folder: Path, drawn: Iterator[tuple[str, Figure]]) -> dict[str, Path]:
    saved = {}
    for name, figure in drawn:
        saved[name] = folder / f"{name}.png"
        style.save(figure, saved[name])
    return saved


def render_page(findings: Findings, pictures: Mapping[str, Path]) -> str:
    """Write the page as HTML that contains everything it shows and makes no request to any host.

    Args:
        findings: What the page shows.
        pictures: PNG files by name, as `draw` names them.
    """
    config = findings.config
    return render(
        "report.html",
        **narrative.common_values(findings),
        settings=narrative.settings(dict(flatten(settings_in_use(config)))) if config else [],
        environment=narrative.settings(dict(flatten(findings.environment))),
        pictures=embed(pictures),
        patch=saliency.PATCH,
        errors_shown=ERRORS_SHOWN,
        disputed_shown=DISPUTED_SHOWN,
        table_rows=TABLE_ROWS,
    )
