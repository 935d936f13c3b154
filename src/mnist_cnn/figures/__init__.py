"""Arrays in, pictures out: every function gives a `matplotlib.figure.Figure` in the same style."""

from mnist_cnn.figures.architecture import architecture, layer_rows
from mnist_cnn.figures.calibration import reliability
from mnist_cnn.figures.classes import class_distribution, class_quality
from mnist_cnn.figures.confusion import confusion_matrix
from mnist_cnn.figures.contact_sheet import contact_sheet
from mnist_cnn.figures.digits import (
    mean_images,
    misclassified,
    saliency_overlays,
    sample_grid,
    sample_predictions,
)
from mnist_cnn.figures.filters import first_filters, first_kernel
from mnist_cnn.figures.learning import learning_curves
from mnist_cnn.figures.style import DOTS_PER_INCH, save
from mnist_cnn.figures.tuning import (
    accuracy_against_cost,
    parallel_coordinates,
    search_history,
    setting_importance,
    setting_slices,
    trial_curves,
)

__all__ = [
    "DOTS_PER_INCH",
    "accuracy_against_cost",
    "architecture",
    "class_distribution",
    "class_quality",
    "confusion_matrix",
    "contact_sheet",
    "first_filters",
    "first_kernel",
    "layer_rows",
    "learning_curves",
    "mean_images",
    "misclassified",
    "parallel_coordinates",
    "reliability",
    "saliency_overlays",
    "sample_grid",
    "sample_predictions",
    "save",
    "search_history",
    "setting_importance",
    "setting_slices",
    "trial_curves",
]
