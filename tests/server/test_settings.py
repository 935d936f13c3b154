"""Settings: read from the environment; errors are explained in one line."""

from __future__ import annotations

import re
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
        ({"port": 70000}, "--port 70000 is not valid. Valid: 0 to 65535."),
        ({"timeout": float("inf")}, "--timeout inf is not valid. Valid: 0.001 to 3600."),
        ({"collect": " "}, "--collect ' ' is not valid. Valid: a path."),
        ({"model": "~nosuch/x"}, "--model ~nosuch/x is not valid. Valid: a path; there is no such home folder."),
        ({"model": "https://a.example/x.onnx"}, "Valid: a path; addresses are not read, download the file first."),
        ({"cors_origins": ("https://a.example", "foo")}, "--cors-origin foo is not valid. Valid: an origin, such as"),
        ({"cors_origins": ("http://a.example:80/",)}, "--cors-origin http://a.example:80/ is not valid."),
        ({"host": ""}, "--host '' is not valid. Valid: Address to listen on"),
    ],
)
def test_a_bad_setting_is_explained_in_one_line(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        load_settings(**given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sizes_levels_and_homes_may_be_written_in_the_usual_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv(PREFIX + "MAX_BODY", "2 MiB")
    monkeypatch.setenv(PREFIX + "LOG_LEVEL", "WARNING")
    monkeypatch.setenv(PREFIX + "COLLECT", "~/kept")
    settings = load_settings(cors_origins=("https://a.example:8443", "http://[::1]:80", "*"))
    assert settings.max_body == 2 * 2**20
    assert settings.log_level == "warning"
    assert settings.collect == Path("/home/somebody/kept")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("APIKEY", KEY, f"unknown setting {PREFIX}APIKEY. Did you mean {PREFIX}API_KEY?"),
        ("MAX_HELD", "1", f"{PREFIX}MAX_HELD is no longer a setting; its value is fixed. Unset it."),
        ("ZZZ", "1", f"unknown setting {PREFIX}ZZZ. Valid after {PREFIX}: MODEL, "),
        ("API_KEY", "", f"{PREFIX}API_KEY is empty"),
        ("PORT", "70000", f"{PREFIX}PORT=70000 is not valid. Valid: 0 to 65535."),
        ("MAX_BODY", "10 stones", f"{PREFIX}MAX_BODY='10 stones' is not valid. Valid: 1KiB to 1GiB."),
        ("LOG_LEVEL", "loud", f"{PREFIX}LOG_LEVEL=loud is not valid. Valid: debug, info, warning, error."),
        ("HOSTS", "a.example,http://b.example", f"{PREFIX}HOSTS=http://b.example is not valid. Valid: a host name"),
        ("HOSTS", "a.example:8000", f"{PREFIX}HOSTS=a.example:8000 is not valid. Valid: a host name"),
    ],
)
def test_a_bad_variable_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    """Otherwise the server would run without its key."""
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        load_settings()
    assert KEY not in str(caught.value)


def test_other_empty_variables_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODEL", "THRESHOLD", "COLLECT", "HOST"):
        monkeypatch.setenv(PREFIX + name, "")
    settings = load_settings()
    assert (settings.model, settings.threshold, settings.collect, settings.host) == (None, None, None, "127.0.0.1")


def test_the_line_end_of_a_key_file_is_removed() -> None:
    settings = load_settings(api_key=f" {KEY}\r\n")
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == KEY
    assert KEY not in repr(settings)


@pytest.mark.parametrize("key", ["short-secret", "two words of a secret", "gehe\u00edm-" * 5])
def test_a_key_that_no_header_can_contain_is_refused(key: str) -> None:
    with pytest.raises(InputError, match=r"the key in --api-key-file is not valid\. Valid: 16 or more") as caught:
        load_settings(api_key=key)
    assert key not in str(caught.value)
