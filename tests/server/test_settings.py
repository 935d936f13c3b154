"""Settings: from the environment and back, and what is wrong with them in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"port": 70000}, "port = 70000 is not valid"),
        ({"port": "http"}, "port = 'http' is not valid"),
        ({"threshold": 1.5}, "threshold = 1.5"),
        ({"threshold": float("nan")}, "threshold = nan"),
        ({"scale": 0}, "scale = 0"),
        ({"scale": float("inf")}, "scale = inf"),
        ({"timeout": 0}, "timeout = 0"),
        ({"timeout": float("inf")}, "timeout = inf"),
        ({"workers": 0}, "workers = 0"),
        ({"log_level": "loud"}, "log_level = 'loud'"),
        ({"threshold": float("nan")}, "should be a finite number"),
        ({"port": 70000}, "Set it with --port."),
        (
            {"model": "http://a.example/b.onnx"},
            "model = 'http://a.example/b.onnx' is not valid: download the file first",
        ),
        ({"collect": "~nobody-is-called-so/kept"}, "this home folder does not exist"),
        ({"cors_origins": ("http://a.example:80/",)}, "is not an origin, such as https://example.com:8443"),
        ({"max_body": "10 stones"}, "max_body = '10 stones' is not valid"),
        ({"prot": 1}, "Did you mean 'port'?"),
    ],
)
def test_a_bad_setting_is_explained_in_one_line(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        load_settings(**given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "PORT", "70000")
    with pytest.raises(InputError, match=f"Set it with {PREFIX}PORT"):
        load_settings()


def test_sizes_levels_and_homes_may_be_written_in_the_usual_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv(PREFIX + "MAX_BODY", "2 MiB")
    monkeypatch.setenv(PREFIX + "LOG_LEVEL", "WARNING")
    monkeypatch.setenv(PREFIX + "COLLECT", "~/kept")
    settings = load_settings(cors_origins=("https://a.example:8443", "http://[::1]:80", "*"))
    assert settings.max_body == 2 * 2**20
    assert settings.log_level == "warning"
    assert settings.collect == Path("/home/somebody/kept")


@pytest.mark.parametrize("name", ["APIKEY", "API-KEY", "COLECT"])
def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Else the server would run without its key."""
    monkeypatch.setenv(PREFIX + name, KEY)
    with pytest.raises(InputError, match=f"unknown setting {PREFIX}{name}. Did you mean '(api_key|collect)'") as caught:
        load_settings()
    assert KEY not in str(caught.value)


def test_an_empty_variable_is_the_default_except_for_keys_and_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODEL", "THRESHOLD", "SCALE", "COLLECT"):
        monkeypatch.setenv(PREFIX + name, "")
    settings = load_settings()
    assert (settings.model, settings.threshold, settings.scale, settings.collect) == (None,) * 4
    for name in ("API_KEY", "HOST"):  # these would open the server to all
        monkeypatch.setenv(PREFIX + name, "")
        with pytest.raises(InputError, match=f"{name.lower()}.* is not valid"):
            load_settings()
        monkeypatch.delenv(PREFIX + name)


def test_the_line_end_of_a_key_file_is_removed() -> None:
    key = load_settings(api_key=f" {KEY}\r\n").api_key
    assert key is not None
    assert key.get_secret_value() == KEY


@pytest.mark.parametrize(
    "key", ["short-secret", "two words of a secret", "gehe\u00edm-" * 5, "a-line\nand-another-one", " " * 20]
)
def test_a_key_that_no_header_can_contain_is_refused(key: str) -> None:
    with pytest.raises(InputError, match="api_key is not valid: it must have 16 or more") as caught:
        load_settings(api_key=key)
    assert key not in str(caught.value)


def test_a_key_is_not_shown() -> None:
    assert KEY not in repr(load_settings(api_key=KEY))


def test_every_setting_says_what_it_means() -> None:
    assert all(field.description for field in Settings.model_fields.values())
