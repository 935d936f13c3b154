"""The model card in the Hugging Face form: YAML for machines, then Markdown for people.

Source of the form: https://huggingface.co/docs/hub/model-cards and, for the results, its model-index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnist_cnn.evaluation import narrative
from mnist_cnn.evaluation.templates import render

if TYPE_CHECKING:
    from mnist_cnn.evaluation.findings import Findings

HUB_DATASETS = {"mnist": "ylecun/mnist", "fashion-mnist": "zalando-datasets/fashion_mnist"}


def model_card(findings: Findings) -> str:
    """Write the model card."""
    dataset, config = findings.predictions.dataset, findings.config
    return render(
        "model_card.md",
        findings=findings,
        metrics=findings.metrics,
        dataset=dataset,
        hub_id=HUB_DATASETS.get(dataset.name, ""),
        results=results(findings),
        verdict=narrative.verdict(findings.metrics, dataset),
        recipe=narrative.recipe(config, len(findings.history), findings.best_epoch) if config else "",
        limits=[*findings.remarks, *narrative.limits(findings.metrics, dataset, trained_here=config is not None)],
    )


def results(findings: Findings) -> list[dict[str, Any]]:
    """List the metrics as a model-index has them: type, value, name."""
    measured = findings.metrics
    return [
        {"type": "accuracy", "value": measured.accuracy.value, "name": "Accuracy"},
        {"type": "f1", "value": measured.macro.f1, "name": "Macro F1"},
        {"type": "log_loss", "value": measured.log_loss, "name": "Log loss (nats)"},
        {"type": "ece", "value": measured.expected_calibration_error, "name": "Expected calibration error"},
    ]
