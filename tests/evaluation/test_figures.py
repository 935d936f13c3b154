"""The pictures can be drawn, are deterministic and say what they should. Their looks are judged by eye."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from evaluation.small_network import HISTORY, build_network
from late import Late
from mnist_cnn.evaluation import layers, metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONG_NAMES = ("T-shirt/top", "Ankle boot, worn for years", "$x$ & <b>")
LOST = {"val_loss": float("nan"), "val_accuracy": 0.4, "learning_rate": 0.0}


architecture, classes, confusion, learning, reliability, risk_coverage, samples, style = (
    Late(f"mnist_cnn.evaluation.figures.{name}")
    for name in ("architecture", "classes", "confusion", "learning", "reliability", "risk_coverage", "samples", "style")
)


def drawn(figure: Figure) -> Image.Image:
    """Draw the figure, in its whole size and not blank."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=60)
    image = Image.open(buffer)
    assert image.size == tuple(int(60 * inches + 1e-6) for inches in figure.get_size_inches())
    assert len(image.convert("RGB").getcolors(2**24) or []) > 10
    return image


def curves(axes: Axes) -> dict[str, list[list[float]]]:
    """Return the points of each curve by its label, or by its place where it has none."""
    return {str(line.get_label()): np.asarray(line.get_xydata()).tolist() for line in axes.lines}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("count", [1, 3])
def test_learning_curves_of_any_length(count: int) -> None:
    history = HISTORY[:count]
    figure = learning.learning_curves(history)
    loss, accuracy, rate = figure.axes
    for axes, key, scale in ((loss, "loss", 1), (accuracy, "accuracy", 100)):
        found = curves(axes)
        assert found["training"] == [[row["epoch"], scale * row[key]] for row in history]
        assert found["validation"] == [[row["epoch"], scale * row[f"val_{key}"]] for row in history]
    assert [y for points in curves(rate).values() for _, y in points] == [row["learning_rate"] for row in history]
    drawn(figure)


def test_learning_curves_with_perfect_and_missing_numbers() -> None:
    figure = learning.learning_curves([{key: row[key] for key in ("epoch", "loss", "accuracy")} for row in HISTORY])
    assert list(curves(figure.axes[0])) == ["training"]
    assert texts(figure) == ["not recorded"]
    history = [
        {"epoch": 1, "loss": 3.0, "accuracy": 0.5, **LOST},
        {"epoch": 2, "loss": 0.0, "accuracy": 1.0, **LOST, "val_loss": None, "val_accuracy": 1.0},
    ]
    figure = learning.learning_curves(history)
    loss, accuracy, _ = figure.axes
    assert curves(loss)["training"] == [[1, 3.0], [2, 0.0]]
    assert curves(loss)["validation"] == []
    assert curves(accuracy)["validation"] == [[1, 40.0], [2, 100.0]]
    drawn(figure)


def test_a_confusion_matrix_prints_every_count() -> None:
    figure = confusion.confusion_matrix(np.array([[1234, 0, 2], [0, 7, 0], [1, 0, 9]]), LONG_NAMES)
    assert texts(figure) == ["1,234", "·", "2", "·", "7", "·", "1", "·", "9"]
    drawn(figure)


def test_a_confusion_matrix_without_errors_and_with_small_shares() -> None:
    drawn(confusion.confusion_matrix(np.eye(2, dtype=np.int64), ("a", "b")))
    figure = confusion.confusion_matrix(np.array([[0.9999, 0.0001], [1.0, 0.0]]), ("a", "b"))
    assert texts(figure) == ["100.0", "<0.1", "100.0", "0.0"]


def test_pictures_of_numbers_with_long_names_and_few_classes() -> None:
    labels = np.array([0, 1, 2, 2])
    measured = metrics.measure(labels, np.eye(3)[[0, 1, 2, 1]], LONG_NAMES)
    drawn(classes.class_quality(measured.classes))
    drawn(classes.class_distribution({"train": [1, 1, 2], "test": [0, 0, 9]}, LONG_NAMES))
    drawn(reliability.reliability(measured.calibration, 0.25))


def test_pictures_of_digits_with_long_names_and_few_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    labels, predicted = np.array([0, 1, 2]), np.array([0, 2, 1])
    maps = np.zeros((3, 28, 28), dtype=np.float32)
    drawn(samples.sample_predictions(images, labels, predicted, LONG_NAMES))
    drawn(samples.misclassified(images, labels, predicted, np.array([0.5, 0.7, 1.0]), LONG_NAMES))
    drawn(samples.saliency_overlays(images, maps, labels, predicted, LONG_NAMES))
    drawn(samples.mean_images(images.astype(np.float32), LONG_NAMES))
    grid = samples.sample_grid(images, np.array([0, 0, 2]), LONG_NAMES)
    canvas = np.asarray(grid.axes[0].images[0].get_array())
    blank = np.zeros((28, 28))
    np.testing.assert_array_equal(canvas, np.block([[images[0], images[1]], [blank, blank], [images[2], blank]]))
    drawn(grid)


@pytest.mark.parametrize("shape", [(1, 1, 3, 1), (5, 7, 2, 100)])
def test_first_filters_of_any_size(shape: tuple[int, ...]) -> None:
    kernel = np.random.default_rng(0).normal(size=shape)
    assert len(samples.first_filters(kernel).axes) == min(shape[-1], 64)


def test_the_architecture_shows_branches_shapes_and_parameters() -> None:
    model = build_network()
    rows = {row.name: row for row in layers.layer_rows(model)}
    assert set(rows["merged"].inputs) == {"first", "branch"}
    assert (rows["first"].shape, rows["first"].detail) == ("12×12×4", "5×5 relu")
    assert sum(row.parameters for row in rows.values()) == model.count_params()
    np.testing.assert_array_equal(layers.first_kernel(model), model.get_layer("first").get_weights()[0])
    figure = architecture.architecture(list(rows.values()))
    assert f"{model.count_params():,} parameters in {len(model.layers)} layers" in texts(figure)
    drawn(figure)


def test_branches_are_listed_one_after_the_other() -> None:
    from mnist_cnn.models.architectures import build_model

    rows = layers.layer_rows(build_model("columns", {"vgg": [4, 8], "light": [4, 8, 8]}, 10))
    positions = {row.name: index for index, row in enumerate(rows)}
    assert all(positions[name] < positions[row.name] for row in rows for name in row.inputs)
    skips = [row.name for above, row in itertools.pairwise(rows) if row.inputs and row.inputs != (above.name,)]
    assert skips == ["conv2d_4", "concatenate"]  # where the second column begins, and where both end


def test_a_layer_that_is_called_twice_is_listed_once() -> None:
    from mnist_cnn.models.backend import keras

    image = keras.Input((4,), name="image")
    shared, between = keras.layers.Dense(4, name="shared"), keras.layers.ReLU(name="between")
    model = keras.Model(image, shared(between(shared(image))))
    assert sorted(row.name for row in layers.layer_rows(model)) == ["between", "image", "shared"]


def test_a_sequential_model_without_convolutions() -> None:
    from mnist_cnn.models.backend import keras

    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(name="flat"), keras.layers.Dense(2)])
    first, second = layers.layer_rows(model)
    assert (first.inputs, second.inputs) == ((), ("flat",))
    assert layers.first_kernel(model) is None


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(2, 30)), max_size=20))
def test_brackets_in_one_lane_never_overlap(raw: list[tuple[int, int]]) -> None:
    spans = [(start, start + length) for start, length in raw]
    placed = architecture.assign_lanes(spans)
    assert sorted((start, end) for start, end, _ in placed) == sorted(spans)
    for number, (start, end, lane) in enumerate(placed):
        for other_start, other_end, other_lane in placed[:number]:
            assert lane != other_lane or end <= other_start or start >= other_end


def test_saving_is_deterministic_and_leaves_matplotlib_as_it_was(tmp_path: Path) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    style.save(learning.learning_curves(HISTORY), tmp_path / "a.png")
    with mpl.rc_context({"font.size": 30, "axes.grid": True}):  # the user's own settings
        style.save(learning.learning_curves(HISTORY), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert dict(mpl.rcParams) == before


def test_each_set_has_a_panel_and_each_reader_a_curve() -> None:
    random = np.random.default_rng(0)
    curves = {
        name: {
            reader: metrics.risk_coverage(random.random(50), random.random(50) < 0.9) for reader in ("ours", "theirs")
        }
        for name in ("cheques", "ledgers")
    }
    figure = risk_coverage.risk_coverage(curves, 0.01)
    drawn(figure)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["cheques", "ledgers"]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["ours", "theirs"]
