"""Training: configuration and data in, run folder out."""

from __future__ import annotations

from mnist_cnn.training.callbacks import DivergedError
from mnist_cnn.training.listener import Listener
from mnist_cnn.training.train import TrainingResult, train

__all__ = ["DivergedError", "Listener", "TrainingResult", "train"]
