"""One line per event on standard output, as JSON or as text, for the server's own events and those of libraries.

A line never contains a query, a body, a header's value, a path as it was sent, or the text of an exception, which may
quote any of these. Only the reason why the application could not start is kept: frameworks log it as a message.
"""

from __future__ import annotations

import contextlib
import traceback
from typing import TYPE_CHECKING, Any, cast

import structlog
from structlog.stdlib import ProcessorFormatter

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger, Processor

    from mnist_cnn.server.settings import Settings

_FRAMES = 12  # of a traceback, the innermost


def make_logger(settings: Settings) -> FilteringBoundLogger:
    """Make the logger of the server's own events: `log.info("request", status=200)`."""
    logger = structlog.wrap_logger(
        _StandardOutput(),
        processors=[structlog.processors.add_log_level, *_processors(settings.log_format)],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )
    return cast("FilteringBoundLogger", logger.bind())


def make_log_config(settings: Settings) -> dict[str, Any]:
    """Describe for `logging.config.dictConfig` how messages of libraries are written. Access logs are left out."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": f"{__name__}.make_formatter", "log_format": settings.log_format}},
        "handlers": {"lines": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "lines"}},
        "root": {"handlers": ["lines"], "level": "WARNING"},
        "loggers": {
            "python_multipart": {"level": "ERROR"},  # its warnings quote bytes of what was sent
            "uvicorn": {"handlers": [], "propagate": True},
            "uvicorn.access": {"handlers": [], "propagate": False},
            "_granian": {"handlers": [], "propagate": True},
        },
    }


def make_formatter(log_format: str) -> ProcessorFormatter:
    """Make the formatter of libraries' messages.

    Args:
        log_format: "json" or "text".
    """
    first = [ProcessorFormatter.remove_processors_meta, _one_line]
    return ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_log_level], processors=[*first, *_processors(log_format)]
    )


class _StandardOutput(structlog.PrintLogger):
    """Standard output; a full disk or a closed pipe does not stop the server."""

    def msg(self, message: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().msg(message)

    debug = info = warning = error = critical = msg


def _processors(log_format: str) -> list[Processor]:
    stamp = structlog.processors.TimeStamper(fmt="iso", key="time")
    if log_format == "json":
        return [_without_text, stamp, structlog.processors.JSONRenderer()]
    return [_without_text, stamp, structlog.dev.ConsoleRenderer(colors=False, timestamp_key="time", pad_event_to=0)]


def _without_text(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by its class and the places that it passed."""
    error = event.pop("exc_info", None)
    error = error[1] if isinstance(error, tuple) else error
    if isinstance(error, BaseException):
        event["error"] = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        event["trace"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def _one_line(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Keep the first line of a message, or the last line of a traceback: the error."""
    lines = str(event["event"]).strip().splitlines() or [""]
    event["event"] = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    return event
