"""How a measured result is shown: the headline table, and where the files are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.config import flatten
from mnist_cnn.runs import RunFolder

if TYPE_CHECKING:
    from mnist_cnn.evaluation.predictions import Predictions
    from mnist_cnn.evaluation.robustness import Robustness
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
    robustness: Robustness | None = None,
) -> None:
    """Write the report into `run` and show its headline."""
    from mnist_cnn.evaluation.report import write_report

    report = write_report(
        run,
        model,
        predictions,
        training,
        command=command,
        trained_in=trained_in,
        adoption=adoption,
        robustness=robustness,
    )
    record = run.read_json(run.metrics)
    show_metrics(record, terminal)
    if predictions.dataset.notice:
        terminal.warn(predictions.dataset.notice)
    terminal.say(f"Report: {report}")
    terminal.finish({"run": str((trained_in or run).root), "report": str(report), **record})


def show_metrics(record: Mapping[str, Any], terminal: Terminal) -> None:
    """Show what `metrics.json` contains, in tables."""
    from mnist_cnn.evaluation.metrics import METRICS

    values, training = dict(flatten(record)), record.get("training", {})
    rows = [(metric.label, metric.text(values[metric.key])) for metric in METRICS]
    rows.append(("95 % interval of the accuracy", "{:.2%} to {:.2%}".format(*record["accuracy_interval"])))
    if without := record.get("without_label_errors"):
        rows.append(("without known label errors", f"{without['accuracy']:.2%} ({without['errors']} errors)"))
    if "seconds" in training:
        rows.append(
            ("training", f"{training['seconds']:.0f} s, {training['epochs']} epoch{'s' * (training['epochs'] > 1)}")
        )
    if pairs := record["most_confused"][:5]:
        shown = (f"{each['label']} → {each['predicted']} ({each['count']})" for each in pairs)
        rows.append(("most frequent errors", ", ".join(shown)))
    if members := record.get("members"):
        rows.append(("mean of the members", f"{members['accuracy_mean']:.2%} ± {members['accuracy_sd']:.2%}"))
        disputed = f"{members['disputed']:,} images, {members['disputed_right']:,} of them right"
        rows.append(("members disagree on", disputed))
    part = "" if record["split"] == "all" else f"{record['split']} "
    terminal.table(["metric", f"{record['n']:,} {part}images of {record['dataset']}"], rows)
    if members:
        each = [
            [score["name"], f"{score['accuracy']:.2%}", score["errors"], f"{score['log_loss']:.4f}"]
            for score in members["scores"]
        ]
        terminal.table(["member", "accuracy", "errors", "log loss"], each)
    columns = ("name", "precision", "recall", "f1", "support")
    classes = [
        [f"{each[key]:.4f}" if key in columns[1:4] else each[key] for key in columns] for each in record["classes"]
    ]
    terminal.table(["class", "precision", "recall", "F1", "images"], classes)
    if corruptions := record.get("corruptions"):
        show_corruptions(corruptions, terminal)


def show_corruptions(record: Mapping[str, Any], terminal: Terminal) -> None:
    """Show what corruptions do to the accuracy, in a table that ends with the mean and the worst."""
    rows = [(name, each["accuracy"], each["prepared_accuracy"]) for name, each in record["each"].items()]
    rows += [(name, record[name], record[f"prepared_{name}"]) for name in ("mean", "worst")]
    columns = f"corruption of {record['n']:,} images", "accuracy", "accuracy if prepared"
    terminal.table(columns, [(name, *(f"{share:.2%}" for share in shares)) for name, *shares in rows])
