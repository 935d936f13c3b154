"""One line per event on standard output, as JSON or for people: the server's own and other libraries' in one form.

What a line may hold: names, numbers and times that the server made itself. Never a query, a body, a header's value,
a path as it came, nor the text of an exception, since that can quote any of these. The one exception's text that is
kept says why the application did not start, before there was any request: frameworks log it as a message.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from traceback import walk_tb
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import structlog
from structlog.stdlib import ProcessorFormatter

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor

    from mnist_cnn.server.settings import Settings

Event = MutableMapping[str, Any]

_FRAMES = 12  # of a traceback, the innermost; those outside of them are the web framework's
_CAUSES = 5  # of an error

# Made once, since `json.dumps` with options makes one per call. ASCII leaves no character that could break a line.
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=str).encode


def make_logger(settings: Settings) -> FilteringBoundLogger:
    """Make what writes the server's own events: `log.info("request", status=200)`; `exc_info=error` adds its trace."""
    logger = structlog.wrap_logger(
        _Lines(),
        processors=_chain(settings.log_format),
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return cast("FilteringBoundLogger", logger.bind())


def make_log_config(settings: Settings) -> dict[str, Any]:
    """Describe for `uvicorn.run(log_config=…)` or `logging.config.dictConfig` how other libraries' messages look.

    uvicorn's own line per request is left out: it would hold the query.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": f"{__name__}.make_formatter", "form": settings.log_format}},
        "handlers": {"lines": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "lines"}},
        "root": {"handlers": ["lines"], "level": "WARNING"},
        "loggers": {
            "uvicorn": {"level": settings.log_level.upper(), "handlers": [], "propagate": True},
            "uvicorn.access": {"handlers": [], "propagate": False},
        },
    }


def make_formatter(form: str) -> ProcessorFormatter:
    """Make what `logging` needs to write the same lines; `form` is "json" or "text"."""
    return ProcessorFormatter(processors=[ProcessorFormatter.remove_processors_meta, _one_line, *_chain(form)])


class _Lines(structlog.PrintLogger):
    """Standard output, whatever it is when a line is written."""

    def msg(self, message: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # a full disk or a closed pipe must not stop the answers
            super().msg(message)

    debug = info = warning = error = critical = msg


def _chain(form: str) -> list[Processor]:
    return [_trace, _stamp, _as_text if form == "text" else _as_json]


def _one_line(_logger: Any, _level: str, event: Event) -> Event:
    """Keep of a message its first line, and of a traceback given as text what it ends with: the error."""
    lines = str(event["event"]).strip().splitlines() or [""]
    return {**event, "event": lines[-1] if lines[0].startswith("Traceback") else lines[0]}


def _trace(_logger: Any, _level: str, event: Event) -> Event:
    """Write an exception as the names of its class, its causes' and the places it passed: no text, no values."""
    given = event.pop("exc_info", None)
    if given is None or given is False:
        return event
    error = _find_error(given)
    return event if error is None else {**event, **describe_error(error)}


def _find_error(given: Any) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    found: tuple[Any, BaseException | None, Any] = given if isinstance(given, tuple) else sys.exc_info()
    return found[1]


def describe_error(error: BaseException) -> dict[str, Any]:
    """Say what an exception is and where it came from, without its text.

    Returns:
        `error`, the class and those of its causes, and `trace`, the places from outside to inside.
    """
    causes = [error]
    while len(causes) < _CAUSES and (cause := causes[-1].__cause__ or causes[-1].__context__):
        causes.append(cause)
    return {"error": " from ".join(_name(each) for each in causes), "trace": _places(error.__traceback__)}


def _name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


def _places(traceback: TracebackType | None) -> list[str]:
    frames = list(walk_tb(traceback))[-_FRAMES:]
    return [f"{frame.f_globals.get('__name__', '?')}:{line} {frame.f_code.co_name}" for frame, line in frames]


def _stamp(_logger: Any, level: str, event: Event) -> Event:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"time": now, "level": level, "event": event.pop("event"), **event}


def _as_json(_logger: Any, _level: str, event: Mapping[str, Any]) -> str:
    return _encode(event)


def _as_text(_logger: Any, _level: str, event: Mapping[str, Any]) -> str:
    time, level, name, *rest = event.items()
    values = "  ".join(f"{key}={value if _is_plain(value) else _encode(value)}" for key, value in rest)
    return f"{time[1][11:23]}  {level[1]:<7}  {_encode(name[1])[1:-1]}  {values}".rstrip()


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()
