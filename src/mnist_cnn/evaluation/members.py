"""The members of an ensemble: what each of them predicts, and where they disagree."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from mnist_cnn.evaluation.layers import split_ensemble
from mnist_cnn.evaluation.predictions import Predictions

if TYPE_CHECKING:
    from mnist_cnn.models.backend import keras


@dataclass(frozen=True)
class MemberScore:
    """One member on the images on which the ensemble was evaluated."""

    name: str
    accuracy: float  #: 0 to 1
    errors: int
    log_loss: float  #: nats


@dataclass(frozen=True, eq=False)
class Members:
    """All members of an ensemble, in its order."""

    names: tuple[str, ...]
    predictions: tuple[Predictions, ...]  #: one per member, of the same data set
    ensemble: Predictions

    @functools.cached_property
    def scores(self) -> tuple[MemberScore, ...]:
        """How good each member is."""
        return tuple(
            MemberScore(name, float((~said.is_wrong).mean()), int(said.is_wrong.sum()), float(said.losses.mean()))
            for name, said in zip(self.names, self.predictions, strict=True)
        )

    @property
    def accuracy_mean(self) -> float:
        """The mean of the members' accuracies, 0 to 1."""
        return statistics.mean(score.accuracy for score in self.scores)

    @property
    def accuracy_deviation(self) -> float:
        """Their standard deviation, 0 to 1."""
        return statistics.stdev(score.accuracy for score in self.scores)

    @functools.cached_property
    def answers(self) -> NDArray[np.int64]:
        """The class that each member predicts, [m, n]."""
        return np.stack([said.predicted for said in self.predictions])

    @functools.cached_property
    def disputed(self) -> NDArray[np.int64]:
        """Indices of the images on which they do not all predict the same class, the greatest disagreement first.

        The measure is the Jensen-Shannon divergence of their probabilities: the entropy of the mean minus the mean
        entropy.
        """
        indices = np.flatnonzero((self.answers != self.answers[0]).any(axis=0))
        chosen = np.stack([said.probabilities[indices] for said in self.predictions]).astype(np.float64)  # [m, d, k]
        divergence = entr(chosen.mean(axis=0)).sum(axis=-1) - entr(chosen).sum(axis=-1).mean(axis=0)  # [d]
        return indices[np.argsort(-divergence, kind="stable")]

    @property
    def disputed_right(self) -> int:
        """How many of these images the ensemble classifies correctly."""
        return int((~self.ensemble.is_wrong[self.disputed]).sum())

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers, ready for JSON."""
        return {
            "scores": [vars(score) for score in self.scores],
            "accuracy_mean": self.accuracy_mean,
            "accuracy_sd": self.accuracy_deviation,
            "disputed": len(self.disputed),
            "disputed_right": self.disputed_right,
        }


def find_members(
    model: keras.Model, ensemble: Predictions, paths: Sequence[str], batch_size: int = 1000
) -> Members | None:
    """Let each member of an ensemble predict; return None for any other model.

    Args:
        model: It.
        ensemble: What it predicted.
        paths: Of its members; empty if they are not known.
        batch_size: Images that are predicted at once.
    """
    members = split_ensemble(model)
    if members is None:
        return None
    images = ensemble.dataset.images[..., np.newaxis]
    answers = [np.asarray(each, np.float32) for each in members.predict(images, batch_size=batch_size, verbose=0)]
    names = _shortest_names(paths) if len(paths) == len(answers) else [f"member {i + 1}" for i in range(len(answers))]
    return Members(tuple(names), tuple(Predictions(ensemble.dataset, each) for each in answers), ensemble)


def _shortest_names(paths: Sequence[str]) -> Sequence[str]:
    names = [PurePath(path).name for path in paths]
    return names if len(set(names)) == len(names) else paths
