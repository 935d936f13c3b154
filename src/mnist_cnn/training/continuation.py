"""A run that was begun continues with the settings it has."""

from __future__ import annotations

from mnist_cnn.config import EXPECTATIONS, Config, load_recipe, override
from mnist_cnn.errors import RunFolderError
from mnist_cnn.runs import RunFolder


def check_settings(config: Config, run: RunFolder) -> None:
    """Check that a run which was begun has these settings, apart from what only says what to expect.

    Raises:
        RunFolderError: It has others.
    """
    if run.config.exists() and override(load_recipe(str(run.config)), EXPECTATIONS) != override(config, EXPECTATIONS):
        raise RunFolderError(f"{run.root} was begun with other settings. Choose another folder, or remove this one.")
