"""One tiny trained run for all tests that only read it."""

from __future__ import annotations

import pytest

from training.tiny import Trained, train_tiny


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train_tiny(tmp_path_factory.mktemp("runs"), legacy_h5=True)
