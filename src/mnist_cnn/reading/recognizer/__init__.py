"""Read digits with a model file, without Keras: the digit, its calibrated probability, accepted or rejected."""

from __future__ import annotations

from mnist_cnn.reading.recognizer.model_file import SHIPPED_WEIGHTS, read_model_file
from mnist_cnn.reading.recognizer.recognition import Recognizer
from mnist_cnn.reading.recognizer.verdict import Reading, Reason

__all__ = ["SHIPPED_WEIGHTS", "Reading", "Reason", "Recognizer", "read_model_file"]
