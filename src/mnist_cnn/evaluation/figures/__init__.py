"""Arrays in, pictures out: every function gives a `matplotlib.figure.Figure` in one style."""

from mnist_cnn.evaluation.figures.architecture import architecture
from mnist_cnn.evaluation.figures.classes import class_distribution, class_quality
from mnist_cnn.evaluation.figures.confusion import confusion_matrix
from mnist_cnn.evaluation.figures.filters import first_filters, first_kernel
from mnist_cnn.evaluation.figures.learning import learning_curves
from mnist_cnn.evaluation.figures.reliability import reliability
from mnist_cnn.evaluation.figures.samples import (
    mean_images,
    misclassified,
    saliency_overlays,
    sample_grid,
    sample_predictions,
)
from mnist_cnn.evaluation.figures.style import DOTS_PER_INCH, save

__all__ = [
    "DOTS_PER_INCH",
    "architecture",
    "class_distribution",
    "class_quality",
    "confusion_matrix",
    "first_filters",
    "first_kernel",
    "learning_curves",
    "mean_images",
    "misclassified",
    "reliability",
    "saliency_overlays",
    "sample_grid",
    "sample_predictions",
    "save",
]
