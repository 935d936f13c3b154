"""The database of a study, and the lock that its workers share.

It is SQLite in a file, or PostgreSQL on a server. SQLite's transactions are complete or absent whenever the process
dies, and the system releases the locks of a dead process.
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

_PATIENCE = 60  # seconds to wait for SQLite's lock
_ANSWER = 10  # seconds to wait for a server's answer
_FROZEN = 60  # seconds after which a server takes the claim from a worker that does nothing with it
_GRACE = 4  # missed heartbeats after which a worker counts as dead


def open_storage(folder: TuningFolder, heartbeat: int) -> BaseStorage:
    """Open the database of a study: a file in the folder, or the folder's PostgreSQL server.

    Args:
        folder: Of the search.
        heartbeat: Seconds between two heartbeats, on a server.

    Raises:
        SettingError: The server cannot be reached.
        MissingExtraError: Its driver is not installed.
        MnistCnnError: The file cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    if not folder.server:
        return _open_file(folder)
    address = without_password(folder.server)
    try:
        with without_warnings():
            return _ServerStorage(
                folder.server, _connecting(), heartbeat_interval=heartbeat, grace_period=_GRACE * heartbeat
            )
    except ImportError as error:
        raise MissingExtraError("a database driver", "postgresql") from error
    except (sqlalchemy.exc.SQLAlchemyError, RuntimeError) as error:  # RuntimeError: tables of another Optuna version
        raise SettingError(
            f"the database {address} cannot be opened: {_explain(error)}. Check that its server runs, and give its "
            "address with --storage postgresql://USER:PASSWORD@HOST/DATABASE or in MNIST_CNN_STORAGE; the password "
            "may be kept in ~/.pgpass."
        ) from error


def without_password(url: str) -> str:
    """Return a server's address without its password.

    Raises:
        SettingError: It is not the address of a PostgreSQL server.
    """
    try:
        known = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # ValueError: the port is not a number
        known = None
    # After an unquoted `@`, the rest of the password would be read as part of the host.
    if known is None or known.get_backend_name() != "postgresql" or "@" in (known.host or ""):
        raise SettingError(  # does not repeat the value, which may contain a password
            "--storage is not the address of a PostgreSQL server. Write postgresql://USER:PASSWORD@HOST/DATABASE. In "
            "PASSWORD, write %40 for @, %3A for : and %2F for /, or keep the password in ~/.pgpass."
        )
    query = {name: value for name, value in known.query.items() if "password" not in name}  # nor `sslpassword`
    address = sqlalchemy.URL.create(
        known.drivername, known.username, host=known.host, port=known.port, database=known.database, query=query
    )
    return address.render_as_string()


@contextlib.contextmanager
def claim_study(folder: TuningFolder, name: str) -> Iterator[None]:
    """Keep other workers from starting trials, counting them or looking for dead workers at the same time.

    The system releases a file's lock when its process dies. A server's lock lasts as long as its transaction, which
    the server also ends if the worker is frozen or cut off.
    """
    if not folder.server:
        with FileLock(folder.claim):
            yield
        return
    with sqlalchemy.create_engine(folder.server, **_connecting()).begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{_FROZEN}s'")
        connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": zlib.crc32(name.encode())})
        yield


@contextlib.contextmanager
def explain_loss(folder: TuningFolder) -> Iterator[None]:
    """Explain what to do if a database that was open can no longer be used.

    Raises:
        MnistCnnError: It cannot.
    """
    try:
        yield
    except Exception as error:
        cause = database_error(error)
        if cause is None:
            raise
        raise MnistCnnError(
            f"the database {folder.storage or folder.database} can no longer be used: "
            f"{_explain(cause)}. All results so far are kept. When it works again, continue with: "
            f"{folder.resume_command}"
        ) from error


def database_error(error: BaseException | None) -> sqlalchemy.exc.SQLAlchemyError | None:
    """Return the database's error behind another one; Optuna wraps it, or meets it while it reports another error."""
    while error is not None:
        if isinstance(error, sqlalchemy.exc.SQLAlchemyError):
            return error
        error = error.__cause__ or error.__context__
    return None


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Silence Optuna's warnings that long-standing features are experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


class _ServerStorage(RDBStorage):
    """Optuna's storage, but its heartbeat survives an outage instead of stopping at the first failure."""

    def record_heartbeat(self, trial_id: int) -> None:
        """Record a heartbeat if the server can be reached."""
        with contextlib.suppress(optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError):
            super().record_heartbeat(trial_id)


def _connecting() -> dict[str, Any]:
    # Connections close with their transaction, because many workers share the few that a server allows. Without a
    # time-out, connecting to an address that does not answer takes minutes.
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
            f"{folder.database} cannot be opened ({first_line(error)}). Restore it, or start a new search."
        ) from error
    _take_turns(storage.engine)
    return storage


def _take_turns(engine: Any) -> None:
    """Let every transaction lock the file from its start.

    Python's sqlite3 starts one only with the first write. Two workers could both read that a trial waits, and both
    would train it.
    """

    @sqlalchemy.event.listens_for(engine, "connect")
    def leave_beginning_to_us(connection: Any, record: Any) -> None:
        del record
        connection.isolation_level = None

    @sqlalchemy.event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
