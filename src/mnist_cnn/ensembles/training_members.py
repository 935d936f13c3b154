"""Train the members of a planned ensemble, and measure each of them as `mnist-cnn train` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mnist_cnn.config import load_recipe
from mnist_cnn.datasets import Dataset
from mnist_cnn.evaluation.predictions import predict
from mnist_cnn.evaluation.report import write_report
from mnist_cnn.models.persistence import open_model
from mnist_cnn.runs import RunFolder, lock_run
from mnist_cnn.training.listener import Listener
from mnist_cnn.training.trainer import train


def train_members(
    members: Sequence[RunFolder],
    training: Dataset,
    listener: Listener,
    on_begin: Callable[[RunFolder], None] = lambda _: None,
) -> bool:
    """Train those that are not finished, one after another; each continues after its last finished epoch.

    Args:
        members: With their settings in their folders.
        training: The training split.
        listener: Receives every step and epoch.
        on_begin: Receives each member before it is trained.

    Returns:
        Whether all are finished; training was interrupted with Ctrl-C otherwise.

    Raises:
        InputError: The settings do not fit the data, or a member was started with other data.
        DivergedError: A loss became NaN or infinite.
    """
    for member in members:
        if member.finished:
            continue
        on_begin(member)
        with lock_run(member):
            if train(load_recipe(str(member.config)), training, member, listener=listener).interrupted:
                return False
    return True


def report_members(members: Sequence[RunFolder], test: Dataset) -> None:
    """Write the report of each member that has none."""
    for member in members:
        if not member.report.exists():
            model = open_model(member.root)
            write_report(member, model, predict(model, test))
