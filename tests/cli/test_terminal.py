"""Tables on the terminal."""

from __future__ import annotations

import pytest

from mnist_cnn.cli.terminal import Terminal


def test_a_count_that_is_stored_as_a_float_is_shown_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(json_only=False).table(["trial", "parameters", "seconds"], [(0, 37_734.0, 155.3142), (1, 4578.0, 2.0)])
    shown = capsys.readouterr().out
    assert [line.split() for line in shown.splitlines()[-3:-1]] == [["0", "37,734", "155.3"], ["1", "4,578", "2"]]


def test_a_title_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(json_only=False).table(["a" * 40], [(1,)], title="digits in d[/old] [red]")
    assert "digits in d[/old] [red]" in capsys.readouterr().out
