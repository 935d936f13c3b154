"""Where a study is kept, and who may change it.

A study in a file is SQLite's: a transaction is whole or not at all, whenever the process dies, and the system frees
the locks of a dead process. (Optuna's journal file has neither: half a line that a killed process leaves makes it
unreadable.) On a server it is PostgreSQL's.
"""

from __future__ import annotations

import contextlib
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

import optuna
import sqlalchemy
from filelock import FileLock
from optuna.storages import BaseStorage, RDBStorage

from mnist_cnn.errors import MissingExtraError, MnistCnnError, SettingError, first_line
from mnist_cnn.tuning.search_folder import TuningFolder

_PATIENCE = 60  # seconds in which other processes may hold SQLite's lock
_ANSWER = 10  # seconds in which a server has to answer
_FROZEN = 60  # seconds after which a server takes the claim from a worker that does nothing with it
_GRACE = 4  # missed heartbeats after which a worker counts as dead


def open_storage(folder: TuningFolder, url: str, heartbeat: int) -> BaseStorage:
    """Open the database of a study.

    Args:
        folder: Holds it where `url` is empty.
        url: Of a PostgreSQL server, as SQLAlchemy takes it.
        heartbeat: Seconds between two signs of life, on a server.

    Raises:
        SettingError: No such server, or no driver for it.
    """
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # what happens is told by `results`
    if not url:
        return _open_file(folder)
    address = without_password(url)
    try:
        with without_warnings():
            return _ServerStorage(
                url, engine_kwargs=_connecting(), heartbeat_interval=heartbeat, grace_period=_GRACE * heartbeat
            )
    except ImportError as error:
        raise MissingExtraError("a database driver", "postgresql") from error
    except (sqlalchemy.exc.SQLAlchemyError, RuntimeError) as error:  # RuntimeError: the tables are of another Optuna
        raise SettingError(
            f"the database {address} cannot be opened: {_explain(error)}. See that its server runs, and give its "
            "address with --storage postgresql://USER:PASSWORD@HOST/DATABASE or in MNIST_CNN_STORAGE; the password "
            "may be left to ~/.pgpass."
        ) from error


def without_password(url: str) -> str:
    """Give a server's address as it may be written down.

    Raises:
        SettingError: It is no address of a PostgreSQL server.
    """
    try:
        known = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # ValueError: the port is no number
        known = None
    # After an `@` that is not quoted the rest of the password is read as a part of the host.
    if known is None or known.get_backend_name() != "postgresql" or "@" in (known.host or ""):
        raise SettingError(  # which does not repeat it: there may be a password in it
            "--storage is no address of a PostgreSQL server. Write it as postgresql://USER:PASSWORD@HOST/DATABASE, in "
            "PASSWORD %40 for @, %3A for : and %2F for /, or leave the password to ~/.pgpass."
        )
    query = {name: value for name, value in known.query.items() if "password" not in name}  # `sslpassword` neither
    address = sqlalchemy.URL.create(
        known.drivername, known.username, host=known.host, port=known.port, database=known.database, query=query
    )
    return address.render_as_string()


@contextlib.contextmanager
def claim_study(folder: TuningFolder, url: str, name: str) -> Iterator[None]:
    """Let no other worker begin a trial, count the trials or look for dead workers at the same time.

    The system frees a file's lock when its process dies. A server's lock lasts as long as the transaction does that
    took it, and that the server ends as well where a worker is frozen or cut off.

    Args:
        folder: Of the search.
        url: Of the database server; empty where the study is in the folder.
        name: Of the study.
    """
    if not url:
        with FileLock(folder.claim):
            yield
        return
    with sqlalchemy.create_engine(url, **_connecting()).begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{_FROZEN}s'")
        connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": zlib.crc32(name.encode())})
        yield


@contextlib.contextmanager
def explain_loss(folder: TuningFolder, url: str = "") -> Iterator[None]:
    """Say what to do when a database that was open can be used no longer.

    Args:
        folder: Of the search.
        url: Of the database server; empty for what the search remembers.

    Raises:
        MnistCnnError: It cannot.
    """
    try:
        yield
    except Exception as error:
        cause = database_error(error)
        if cause is None:
            raise
        url = url or folder.storage
        raise MnistCnnError(
            f"the database {without_password(url) if url else folder.database} cannot be used any more: "
            f"{_explain(cause)}. What was reached is kept; once it can, go on with: {folder.resume_command}"
        ) from error


def database_error(error: BaseException | None) -> sqlalchemy.exc.SQLAlchemyError | None:
    """Give the database's error that is behind another; Optuna has its own, or meets one while it reports that."""
    while error is not None:
        if isinstance(error, sqlalchemy.exc.SQLAlchemyError):
            return error
        error = error.__cause__ or error.__context__
    return None


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Keep quiet that Optuna calls what it has had for years experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


class _ServerStorage(RDBStorage):
    """Optuna's, whose signs of life survive an outage: there the first that failed would be the last."""

    def record_heartbeat(self, trial_id: int) -> None:
        """Give a sign of life, if the server can be reached."""
        with contextlib.suppress(optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError):
            super().record_heartbeat(trial_id)


def _connecting() -> dict[str, Any]:
    # No connection outlives its transaction: many workers share what few a server allows. Without a limit an address
    # at which nobody answers is tried for minutes.
    return {"poolclass": sqlalchemy.NullPool, "connect_args": {"connect_timeout": _ANSWER}}


def _explain(error: BaseException) -> str:
    return first_line(getattr(error, "orig", None) or error)


def _open_file(folder: TuningFolder) -> BaseStorage:
    url = sqlalchemy.URL.create("sqlite", database=str(folder.database.resolve()))
    try:
        storage = RDBStorage(
            url.render_as_string(hide_password=False), engine_kwargs={"connect_args": {"timeout": _PATIENCE}}
        )
    except (sqlalchemy.exc.SQLAlchemyError, RuntimeError) as error:
        raise MnistCnnError(
            f"{folder.database} cannot be opened ({first_line(error)}). Restore it, or begin a new search."
        ) from error
    _take_turns(storage.engine)
    return storage


def _take_turns(engine: Any) -> None:
    """Let every transaction lock the file from its beginning.

    Python's sqlite3 begins one with the first write only. Two workers could both read that a trial waits, then both
    mark it as theirs, and both would train it.
    """

    @sqlalchemy.event.listens_for(engine, "connect")
    def leave_beginning_to_us(connection: Any, record: Any) -> None:
        del record
        connection.isolation_level = None

    @sqlalchemy.event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
