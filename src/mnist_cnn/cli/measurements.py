"""How a measured result is shown: the headline table, and where the files are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.runs import RunFolder

if TYPE_CHECKING:
    from mnist_cnn.evaluation.predictions import Predictions
    from mnist_cnn.models.backend import keras
    from mnist_cnn.reading.scaling import Adoption


def report_result(
    run: RunFolder,
    model: keras.Model,
    predictions: Predictions,
    terminal: Terminal,
    training: Mapping[str, Any],
    trained_in: RunFolder | None = None,
    command: str = "",
    adoption: Adoption | None = None,
) -> None:
    """Write the report into `run` and show its headline."""
    from mnist_cnn.evaluation.report import write_report

    report = write_report(run, model, predictions, training, command=command, trained_in=trained_in, adoption=adoption)
    record = run.read_json(run.metrics)
    show_metrics(record, terminal)
    if predictions.dataset.notice:
        terminal.warn(predictions.dataset.notice)
    terminal.say(f"Report: {report}")
    terminal.finish({"run": str((trained_in or run).root), "report": str(report), **record})


def show_metrics(record: Mapping[str, Any], terminal: Terminal) -> None:
    """Show what `metrics.json` holds, in a few lines."""
    wrong, total = record["errors"], record["n"]
    low, high = record["accuracy_interval"]
    rows = [
        (
            "accuracy",
            f"{record['accuracy']:.2%}  (95 % interval {low:.2%} … {high:.2%}; {wrong} of {total:,} wrong)",
        ),
        ("log loss", f"{record['log_loss']:.4f}"),
        ("macro F1", f"{record['macro']['f1']:.4f}"),
        ("top-2 accuracy", f"{record['top2_accuracy']:.2%}"),
        ("calibration error", f"{record['expected_calibration_error']:.4f}"),
    ]
    training = record.get("training", {})
    if "seconds" in training:
        rows.append(("training", f"{training['seconds']:.0f} s, {training['epochs']} epochs"))
    if record.get("without_label_errors"):
        without = record["without_label_errors"]
        rows.append(("without the known label errors", f"{without['accuracy']:.2%}  ({without['errors']} wrong)"))
    pairs = [f"{each['label']} → {each['predicted']} ({each['count']})" for each in record["most_confused"][:5]]
    if pairs:
        rows.append(("most confused", ", ".join(pairs)))
    terminal.table(["measure", f"{record['dataset']} {record['split']} set"], rows)
    classes = [
        [each["name"], *(f"{each[key]:.4f}" for key in ("precision", "recall", "f1")), each["support"]]
        for each in record["classes"]
    ]
    terminal.table(["class", "precision", "recall", "F1", "images"], classes)
