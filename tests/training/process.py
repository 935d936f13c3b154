"""Trains in its own process, which can kill itself: `python -m training.process RUN CONFIG [HOW EPOCH]`.

HOW is `in-epoch`, to die between two batches of the epoch (1-based), or `after-state`, to die as soon as the state
after that epoch is on the disk. It dies by SIGKILL, as when memory runs out: nothing can be cleaned up.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from mnist_cnn.config import load_recipe
from mnist_cnn.evaluation.predictions import predict_images
from mnist_cnn.runs import RunFolder
from mnist_cnn.training.checkpoint import TrainingState
from mnist_cnn.training.listener import Listener
from mnist_cnn.training.trainer import train
from training.tiny import digits


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingInEpoch(Listener):
    def __init__(self, epoch: int) -> None:
        self._epoch = epoch

    def on_step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        del step, loss, accuracy
        if epoch + 1 == self._epoch:
            die()


def die_after_state(epoch: int) -> None:
    save = TrainingState.save

    def save_and_die(state: TrainingState, folder: Path) -> None:
        save(state, folder)
        if state.epochs_done == epoch:
            die()

    TrainingState.save = save_and_die  # type: ignore[assignment, method-assign]


def main(run: str, config: str, how: str = "", epoch: str = "0") -> None:
    listener = DyingInEpoch(int(epoch)) if how == "in-epoch" else Listener()
    if how == "after-state":
        die_after_state(int(epoch))
    folder = RunFolder(Path(run))
    folder.root.mkdir(parents=True, exist_ok=True)
    result = train(load_recipe(config), digits(), folder, listener=listener)
    probabilities = predict_images(result.model, digits(8).images)
    sys.stdout.write(json.dumps({"epochs": result.epochs, "probabilities": probabilities.tolist()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
