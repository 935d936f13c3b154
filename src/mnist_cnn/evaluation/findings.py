"""What is known about one model on one data set: the facts behind the report and the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mnist_cnn.config import Config, load_recipe
from mnist_cnn.environment import shell
from mnist_cnn.evaluation import predictions as evaluation
from mnist_cnn.evaluation.layers import LayerRow, layer_rows
from mnist_cnn.evaluation.members import Members, find_members
from mnist_cnn.evaluation.metrics import Metrics
from mnist_cnn.evaluation.predictions import LabelErrorAccuracy, Predictions
from mnist_cnn.evaluation.robustness import Robustness
from mnist_cnn.reading.scaling import Adoption
from mnist_cnn.runs import RunFolder, best_epoch

if TYPE_CHECKING:
    from mnist_cnn.models.backend import keras


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything that the report and the model card tell about one model on one data set."""

    name: str
    predictions: Predictions
    metrics: Metrics
    label_errors: LabelErrorAccuracy | None
    layers: Sequence[LayerRow]
    training: Mapping[str, Any]  # seconds, epochs, parameters, and what else the caller measured
    config: Config | None  # None for a model without a run
    history: Sequence[Mapping[str, Any]]  # empty for a model without a run
    environment: Mapping[str, Any]  # empty for a model without a run
    command: str
    adoption: Adoption  # how a third-party model was adapted to grey levels 0 … 255
    members: Members | None = None  # of an ensemble
    robustness: Robustness | None = None  # if it was measured

    @property
    def remarks(self) -> list[str]:
        """What was decided about a third-party model, one sentence each."""
        return [remark[0].upper() + remark[1:] for remark in self.adoption.remarks]

    @property
    def monitor(self) -> str:
        """The validation result that selects the best epoch: "loss" or "accuracy"."""
        return self.config.training.monitor if self.config else "loss"

    @property
    def best_epoch(self) -> int:
        """The epoch with the best validation result, 1-based; 0 without a history."""
        return best_epoch(self.history, self.monitor) if self.history else 0


def gather(
    run: RunFolder,
    model: keras.Model,
    predictions: Predictions,
    training: Mapping[str, Any],
    command: str,
    adoption: Adoption | None = None,
    robustness: Robustness | None = None,
) -> Findings:
    """Measure the predictions and read what the run folder knows.

    Raises:
        InputError: The predictions are not probabilities, or a file of the run is damaged.
    """
    history = run.read_json(run.history_json) if run.history_json.exists() else []
    known: dict[str, Any] = {"parameters": model.count_params()}
    if history:
        known |= {"epochs": len(history), "seconds": sum(row.get("seconds", 0) for row in history)}
    config = load_recipe(str(run.config)) if run.config.exists() else None
    return Findings(
        name=run.name,
        predictions=predictions,
        metrics=evaluation.evaluate(predictions),
        label_errors=evaluation.without_label_errors(predictions),
        layers=layer_rows(model),
        training={**training, **known},  # the history is newer than what the caller may have read
        config=config,
        history=history,
        environment=run.read_json(run.environment) if run.environment.exists() else {},
        command=command or _command(run, config, predictions),
        adoption=adoption or Adoption(),
        members=find_members(model, predictions, config.model.average if config else ()),
        robustness=robustness,
    )


def _command(run: RunFolder, config: Config | None, predictions: Predictions) -> str:
    if config and config.model.average:
        return shell.join(["mnist-cnn", "ensemble", *(str(run.root / member) for member in config.model.average)])
    if run.config.exists():
        return shell.join(["mnist-cnn", "train", "--recipe", str(run.config)])
    return shell.join(["mnist-cnn", "evaluate", "MODEL", "--dataset", predictions.dataset.name])


def metrics_record(findings: Findings) -> dict[str, Any]:
    """Return the content of `metrics.json`: the data, what was measured on them, and what training cost."""
    dataset = findings.predictions.dataset
    without, members, robustness = findings.label_errors, findings.members, findings.robustness
    return {
        "dataset": dataset.name,
        "split": dataset.split,
        "source": dataset.source,
        "notice": dataset.notice,
        "sha256": dataset.checksum(),
        **findings.metrics.as_dict(),
        "without_label_errors": without.as_dict() if without else None,
        "members": members.as_dict() if members else None,
        "corruptions": robustness.as_dict() if robustness else None,
        "training": dict(findings.training),
        "scaling": findings.adoption.choice.as_dict(),
        "remarks": findings.remarks,
    }
