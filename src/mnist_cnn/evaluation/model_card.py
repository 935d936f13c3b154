"""The model card in the Hugging Face form: YAML for machines, then Markdown for people.

Source of the form: https://huggingface.co/docs/hub/model-cards and, for the results, its model-index.
"""

from __future__ import annotations

from mnist_cnn.evaluation import narrative
from mnist_cnn.evaluation.findings import Findings
from mnist_cnn.evaluation.templates import render

HUB_DATASETS = {"mnist": "ylecun/mnist", "fashion-mnist": "zalando-datasets/fashion_mnist"}


def model_card(findings: Findings) -> str:
    """Write the model card."""
    return render(
        "model_card.md",
        **narrative.common_values(findings),
        hub_id=HUB_DATASETS.get(findings.predictions.dataset.name, ""),
    )
