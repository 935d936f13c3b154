"""Where a study is kept, and what becomes of a trial whose worker is gone.

A study in a file is SQLite's: a transaction is whole or not at all, whenever the process dies, and the system frees
the locks of a dead process. (Optuna's journal file has neither: half a line that a killed process leaves makes it
unreadable.) On a server it is PostgreSQL's.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from mnist_cnn.errors import InputError, MissingExtraError, MnistCnnError, first_line
from mnist_cnn.tuning.folder import TuningFolder, is_at_work

RETRIES = 3  # a trial that takes its workers down with it is given up
PLACE, FOLDER, REASON = "place", "folder", "reason"  # attributes of a trial

_PATIENCE = 60  # seconds in which other processes may hold SQLite's lock
_ANSWER = 10  # seconds in which a server has to answer
_GRACE = 4  # missed heartbeats after which a worker counts as dead


def open_storage(folder: TuningFolder, url: str, heartbeat: int) -> BaseStorage:
    """Open the database of a study.

    Args:
        folder: Holds it where `url` is empty.
        url: Of a database server, as SQLAlchemy takes it.
        heartbeat: Seconds between two signs of life, on a server.

    Raises:
        InputError: No such server, or no driver for it.
    """
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # what happens is told by `results`
    if not url:
        return _open_file(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return RDBStorage(
                url,
                # No connection outlives its transaction: many workers share what few a server allows.
                engine_kwargs={"poolclass": sqlalchemy.NullPool, "connect_args": _connect_arguments(url)},
                heartbeat_interval=heartbeat,
                grace_period=_GRACE * heartbeat,
                heartbeat_stale_trial_callback=_retry(RETRIES),
            )
    except ImportError as error:
        raise MissingExtraError("a database driver", "postgresql") from error
    except (sqlalchemy.exc.SQLAlchemyError, RuntimeError) as error:  # RuntimeError: the tables are of another Optuna
        raise InputError(
            f"the database {without_password(url)} cannot be opened: {_explain(error)}. See that its server runs, and "
            "give its address, with the password if it needs one: --storage postgresql://USER:PASSWORD@HOST/DATABASE."
        ) from error


def without_password(url: str) -> str:
    """Give a database's address as it may be written down.

    Raises:
        InputError: It is none.
    """
    try:
        known = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        raise InputError(
            f"--storage {url!r} is no address. Write it as postgresql://USER:PASSWORD@HOST/DATABASE."
        ) from None
    query = {name: value for name, value in known.query.items() if "password" not in name}  # `sslpassword` neither
    address = sqlalchemy.URL.create(
        known.drivername, known.username, host=known.host, port=known.port, database=known.database, query=query
    )
    return address.render_as_string()


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
        # Optuna reports it as an error of its own, or meets another error while it does.
        cause = next((each for each in _chain(error) if isinstance(each, sqlalchemy.exc.SQLAlchemyError)), None)
        if cause is None:
            raise
        url = url or folder.read_plan()["storage"]
        raise MnistCnnError(
            f"the database {without_password(url) if url else folder.database} cannot be used any more: "
            f"{_explain(cause)}. What was reached is kept; once it can, go on with --resume {folder.root}."
        ) from error


def hand_back(study: Study, number: int, retries: int | None = None) -> None:
    """Queue a trial again that nobody works at any more; who takes it up goes on from its last finished epoch.

    In the study it becomes a new trial that remembers the number of the old one, which counts as failed.

    Args:
        study: Which study.
        number: The trial's number.
        retries: How often a trial may be queued again in all; None: as often as need be.
    """
    with contextlib.suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):  # Ctrl-C: Optuna has said so
        study.tell(number, state=TrialState.FAIL)
    trial = next(trial for trial in study.get_trials() if trial.number == number)
    if trial.state == TrialState.FAIL and REASON not in trial.user_attrs:  # not if it ended in the same moment
        _retry(retries)(study, trial)


def hand_back_abandoned(study: Study, folder: TuningFolder) -> None:
    """Queue again every trial whose worker is dead, which is known at once of those here, later of those elsewhere.

    Whoever calls this must hold the folder's claim: between asking for a trial and locking its run nobody may look.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)  # whose workers on other machines have given no sign of life
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _was_begun_in(folder, trial) and not is_at_work(folder.trial(folder_name(trial))):
            hand_back(study, trial.number, RETRIES)


def folder_name(trial: FrozenTrial | optuna.Trial) -> str:
    """Give the name of a trial's run folder: its number's, or that of the trial which it takes up again."""
    return str(trial.user_attrs.get(FOLDER, f"{trial.number:04d}"))


def superseded(trials: list[FrozenTrial]) -> set[int]:
    """Give the numbers of the trials that others have taken up again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return {number for trial in trials for number in RetryHeartbeatStaleTrialCallback.retry_history(trial)}


def _was_begun_in(folder: TuningFolder, trial: FrozenTrial) -> bool:
    place = trial.user_attrs.get(PLACE)
    # Without a place its worker died in the moment after it asked; in a file of this folder it can only be ours.
    return bool(place == folder.place or (place is None and folder.database.exists()))


def _connect_arguments(url: str) -> dict[str, Any]:
    # Without a limit an address at which nobody answers is tried for minutes.
    is_postgresql = sqlalchemy.make_url(url).get_backend_name() == "postgresql"
    return {"connect_timeout": _ANSWER} if is_postgresql else {}


def _explain(error: BaseException) -> str:
    return first_line(getattr(error, "orig", None) or error)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__


def _retry(retries: int | None) -> RetryHeartbeatStaleTrialCallback:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return RetryHeartbeatStaleTrialCallback(max_retry=retries, inherit_intermediate_values=True)


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
