"""Settings: from the environment and back, and what is wrong with them in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from mnist_cnn.errors import InputError
from mnist_cnn.server.settings import PREFIX, Settings, load_settings

KEY = "0123456789abcdef-a-secret"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)


def test_the_environment_is_read_and_what_is_given_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_CNN_SERVE_PORT", "9000")
    monkeypatch.setenv("MNIST_CNN_SERVE_CORS_ORIGINS", "https://a.example, https://b.example,")
    monkeypatch.setenv("MNIST_CNN_SERVE_MAX_IMAGES", "7")
    settings = load_settings(port=9001, model=None)
    assert settings.port == 9001
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.max_images == 7
    assert settings.model is None


def test_another_process_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        model=Path("a b/model.onnx"), threshold=0.5, api_key=SecretStr(KEY), cors_origins=("https://a.example",),
        collect=Path("kept"), timeout=2.5,
    )  # fmt: skip
    for name, text in settings.to_environment().items():
        monkeypatch.setenv(name, text)
    assert Settings() == settings
    assert Settings().api_key == settings.api_key


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"port": 70000}, "port = 70000 is not valid"),
        ({"port": "http"}, "port = 'http' is not valid"),
        ({"threshold": 1.5}, "threshold = 1.5"),
        ({"threshold": float("nan")}, "threshold = nan"),
        ({"timeout": 0}, "timeout = 0"),
        ({"timeout": float("inf")}, "timeout = inf"),
        ({"workers": 0}, "workers = 0"),
        ({"log_level": "loud"}, "log_level = 'loud'"),
        ({"prot": 1}, "Did you mean 'port'?"),
        ({"max_images": 600}, "max_images = 600 is more than may wait (max_pending = 512)"),
    ],
)
def test_a_bad_setting_is_told_in_one_line(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        load_settings(**given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_key_is_not_repeated() -> None:
    with pytest.raises(InputError, match="api_key is not valid") as caught:
        load_settings(api_key="short-secret")
    assert "short-secret" not in str(caught.value)
    assert KEY not in repr(load_settings(api_key=KEY))


def test_every_setting_says_what_it_means() -> None:
    assert all(field.description for field in Settings.model_fields.values())
