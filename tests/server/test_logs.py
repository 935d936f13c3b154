"""One event, one line, whatever is in it."""

from __future__ import annotations

import contextlib
import json
import logging
import logging.config
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.config import LOGGING_CONFIG

from mnist_cnn.server import logs
from mnist_cnn.server.settings import Settings

SECRET = "do-not-tell-anyone"


@contextlib.contextmanager
def configured() -> Iterator[None]:
    """Let uvicorn write as it likes, then in the server's form, and take that back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logging.config.dictConfig(LOGGING_CONFIG)  # as where `uvicorn` itself starts the application
    logging.config.dictConfig(logs.make_log_config(Settings()))
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level


@given(value=st.text(), event=st.text(), form=st.sampled_from(["json", "text"]))
def test_no_value_breaks_a_line(value: str, event: str, form: str) -> None:
    line = _render(form, {"event": event, "value": value})
    assert len(line.splitlines()) == 1  # splits at many more characters than a newline
    assert line.isascii()
    assert line.isprintable()
    if form == "json":
        assert json.loads(line)["value"] == value


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logs.make_logger(Settings(log_format="text")).info("request", route="/predict", status=200, said="a b\nc")
    assert capsys.readouterr().out.rstrip("\n")[12:] == r'  info     request  route=/predict  status=200  said="a b\nc"'


def test_less_than_the_level_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    log = logs.make_logger(Settings(log_level="warning"))
    log.info("quiet")
    log.warning("loud")
    assert "quiet" not in (out := capsys.readouterr().out)
    assert "loud" in out


def test_a_closed_pipe_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def write(self, _text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

    log = logs.make_logger(Settings())
    monkeypatch.setattr(sys, "stdout", Closed())
    log.info("nobody reads this")


def test_other_libraries_write_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with configured():
        logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=ValueError(SECRET))
        logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <Task %s>", SECRET)
    first, second = map(json.loads, (out := capsys.readouterr().out).splitlines())
    assert SECRET not in out
    assert list(first) == ["time", "level", "event", "error", "trace"]
    assert (first["level"], first["event"], first["error"]) == ("error", "Exception in ASGI application", "ValueError")
    assert second["event"] == "Task exception was never retrieved"


def test_uvicorn_writes_no_line_of_its_own_per_request(capsys: pytest.CaptureFixture[str]) -> None:
    with configured():
        logging.getLogger("uvicorn.access").info("GET /?key=%s", SECRET)
    assert capsys.readouterr().out == ""


def test_a_long_trace_keeps_its_inner_end() -> None:
    def dig(depth: int) -> None:
        if depth:
            dig(depth - 1)
        raise RuntimeError(SECRET)

    try:
        dig(100)
    except RuntimeError as error:
        told = logs.describe_error(error)
    assert told["error"] == "RuntimeError"
    assert len(told["trace"]) < 20
    assert told["trace"][-1].endswith(" dig")


def _render(form: str, event: dict[str, str]) -> str:
    record = logging.LogRecord("any", logging.INFO, "", 0, event.pop("event").replace("%", "%%"), (), None)
    formatter = logs.make_formatter(form)
    formatter.foreign_pre_chain = [lambda _logger, _level, given: {**given, **event}]
    return formatter.format(record)
