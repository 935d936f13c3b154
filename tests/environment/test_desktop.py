"""Whether something can be shown to the user."""

from __future__ import annotations

import sys

import pytest

from mnist_cnn.environment.desktop import has_desktop


@pytest.mark.parametrize(
    ("variables", "system", "terminal", "expected"),
    [
        ({"DISPLAY": ":0"}, "linux", True, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True, True),
        ({}, "linux", True, False),
        ({}, "darwin", True, True),
        ({"SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}, "darwin", True, False),
        ({"DISPLAY": ":0"}, "linux", False, False),
    ],
)
def test_only_a_user_at_a_desktop_has_one(
    variables: dict[str, str], system: str, terminal: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert has_desktop() is expected
