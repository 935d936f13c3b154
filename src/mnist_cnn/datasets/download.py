"""Downloads: each file is verified, and written completely or not at all.

pooch receives and hashes a file. Two things are added, because pooch tries mirrors one after another and tolerates slow
ones: all mirrors are asked at once which of them answer, and a mirror that becomes too slow is dropped.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
import zipfile
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pooch
import requests
from filelock import FileLock
from urllib3.exceptions import ReadTimeoutError

from mnist_cnn.datasets.idx import read_idx
from mnist_cnn.datasets.known import verify
from mnist_cnn.errors import DataError, DatasetUnavailableError, first_line
from mnist_cnn.files import remove_partial, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mnist_cnn.datasets.registry import RemoteFile, Source

ANSWER_SECONDS = 8.0  # for all mirrors together, until the first line of an answer
GRACE_SECONDS = 20.0  # per file, before its speed is judged
SLOWEST = 50_000  # bytes per second after the grace period; a slower mirror is dropped
LARGEST = 2**30  # bytes of one file: twice those of EMNIST's archive
ATTEMPTS = 3  # at each mirror, after failures of the connection or the server
PAUSE_SECONDS = 0.5  # before the second round of attempts, and twice as long before the third
RETRY_SECONDS = 10.0  # no round begins later than this
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
TIMEOUT = (5.0, 15.0)  # seconds to connect, and between two pieces


class Progress(Protocol):
    """A callback during a download; the command line draws a bar from it."""

    def __call__(self, file: str, done: int, total: int) -> None:
        """Take the file's name, the bytes received, and the bytes expected (0 if the mirror does not say)."""


class MirrorsFailedError(DatasetUnavailableError):
    """No mirror provided a file."""

    def __init__(self, attempts: Sequence[str]) -> None:
        super().__init__("; ".join(attempts))
        self.attempts = attempts  # one line per mirror: its address and why it failed


class _RefusedError(Exception):
    """A mirror sends something else, too much or too slowly: another attempt would not help."""


def download(source: Source, keys: Iterable[tuple[str, str]], folder: Path, progress: Progress | None = None) -> None:
    """Download those files of a data set that are missing in `folder`.

    Safe with several processes at once: one downloads, the others wait and find the files.

    Args:
        source: The data set.
        keys: Which of `source.files`.
        folder: Created if it is missing.
        progress: Called for every piece.

    Raises:
        MirrorsFailedError: No mirror provided a missing file, or the folder cannot be written.
        WriteError: The disk is full.
    """
    wanted = [source.files[key] for key in keys]
    name = (source.archive or wanted[0]).name
    failures = _ask([mirror.format(file=name) for mirror in source.mirrors])
    mirrors = [mirror for mirror in source.mirrors if not failures[mirror.format(file=name)]]
    silent = [f"{address}: {failure}" for address, failure in failures.items() if failure]
    if not mirrors:
        raise MirrorsFailedError(silent)
    with _alone_in(folder):
        missing = [file for file in wanted if not _is_whole(folder / file.name, file, source)]
        try:
            if source.archive and missing:
                _fetch_archive(source, source.archive, mirrors, folder, progress)
            else:
                for file in missing:
                    _fetch(file, mirrors, folder / file.name, progress)
        except MirrorsFailedError as error:
            raise MirrorsFailedError([*silent, *error.attempts]) from error


def _ask(addresses: Sequence[str]) -> dict[str, str]:
    """Ask all addresses at once; return what is wrong with each, empty if there was any answer."""
    failures = dict.fromkeys(addresses, f"no answer within {ANSWER_SECONDS:g} s")

    def ask(address: str) -> None:
        try:
            requests.get(address, stream=True, timeout=TIMEOUT).close()
            failures[address] = ""
        except Exception as error:  # also of proxy settings that requests cannot use
            failures[address] = _reason(error)

    # Daemon threads, because looking up a name can hang for a minute, and no time-out covers it.
    threads = [threading.Thread(target=ask, args=(address,), daemon=True) for address in addresses]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + ANSWER_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(failures)


def _fetch(file: RemoteFile, mirrors: Sequence[str], target: Path, progress: Progress | None) -> None:
    """Download one file to `target` from the first mirror that provides the right content."""
    addresses = [mirror.format(file=file.name) for mirror in mirrors]
    failures: dict[str, Exception] = {}
    deadline = time.monotonic() + RETRY_SECONDS
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE_SECONDS * attempt)
        for address in addresses:
            try:
                _receive(address, file, target, progress)
                return
            except (requests.RequestException, _RefusedError) as error:
                failures[address] = error
        addresses = [address for address in addresses if _may_pass(failures[address])]
        if not addresses or time.monotonic() > deadline:
            break
    raise MirrorsFailedError([f"{address}: {_reason(error)}" for address, error in failures.items()])


def _may_pass(failure: Exception) -> bool:
    """Whether another attempt may succeed: not after a refusal, nor after a time-out, which has taken long enough."""
    if isinstance(failure, requests.HTTPError):
        status = failure.response.status_code
        return status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    is_timeout = isinstance(failure, requests.Timeout) or isinstance(_inner(failure), ReadTimeoutError)
    return isinstance(failure, requests.RequestException) and not is_timeout


def _receive(address: str, file: RemoteFile, target: Path, progress: Progress | None) -> None:
    # The checksum decides in the end: a redirect or a mirror without TLS does no harm.
    fetch = pooch.HTTPDownloader(
        progressbar=_Watch(file.name, progress),
        chunk_size=256,  # bytes: small, because the speed is judged after each piece
        timeout=TIMEOUT,
        headers={"Accept-Encoding": "identity"},
        hooks={"response": _keep_encoded},
    )
    with write_whole(target) as partial:
        fetch(address, str(partial), None)
        checksum = pooch.file_hash(str(partial))
        if checksum != file.sha256:
            raise _RefusedError(f"wrong content (SHA-256 {checksum[:12]}…, expected {file.sha256[:12]}…)")


def _keep_encoded(response: requests.Response, *_: Any, **__: Any) -> None:
    """Keep a .gz file as it is, although some mirrors call its compression an encoding, which requests would undo."""
    response.raw.headers.pop("Content-Encoding", None)


class _Watch:
    """A progress bar for pooch, which ends a download that is too slow or too large."""

    total = 0  # bytes, set by pooch; 0 if the mirror does not say

    def __init__(self, name: str, progress: Progress | None) -> None:
        self._name, self._progress, self._done, self._began = name, progress, 0, time.monotonic()

    def update(self, count: int) -> None:
        if count == 0:  # at the end, if the mirror did not say how much it would send
            return
        self._done += count
        seconds = time.monotonic() - self._began
        if self._done > LARGEST:
            raise _RefusedError(f"it sends more than {LARGEST:,} bytes")
        if self._done < (seconds - GRACE_SECONDS) * SLOWEST:
            raise _RefusedError(f"too slow: {self._done:,} bytes after {seconds:.0f} s")
        if self._progress:
            self._progress(self._name, min(self._done, self.total or self._done), self.total)

    def reset(self) -> None:
        self._done = 0  # pooch then counts the whole file at once

    def close(self) -> None:
        pass


def _fetch_archive(
    source: Source, archive: RemoteFile, mirrors: Sequence[str], folder: Path, progress: Progress | None
) -> None:
    """Download the zip archive, unpack the data set's files beside it, and remove it."""
    path = folder / archive.name
    try:
        _fetch(archive, mirrors, path, progress)
        with zipfile.ZipFile(path) as zipped:
            members = {Path(name).name: name for name in zipped.namelist()}
            for file in source.files.values():
                with write_whole(folder / file.name) as partial, partial.open("wb") as stream:
                    shutil.copyfileobj(zipped.open(members[file.name]), stream)
    finally:
        path.unlink(missing_ok=True)


def _is_whole(path: Path, file: RemoteFile, source: Source) -> bool:
    try:
        verify(read_idx(path), file, str(path), source)
    except DataError:
        return False
    return True


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire()
    except OSError as error:
        raise MirrorsFailedError(
            [f"{folder}: cannot be written ({error.strerror}); set $MNIST_CNN_CACHE to a folder that can be"]
        ) from error
    try:
        remove_partial(folder)
        yield
    finally:
        lock.release()


def _reason(error: Exception) -> str:
    """Return the cause that requests and urllib3 wrap, in one line."""
    if isinstance(error, requests.HTTPError):
        return f"HTTP {error.response.status_code} {error.response.reason}"
    inner = _inner(error)
    cause = getattr(inner, "reason", None)
    return first_line(cause if isinstance(cause, Exception) else inner)


def _inner(error: Exception) -> Exception:
    """Return the error of urllib3 that an error of requests wraps, or else the error itself."""
    return error.args[0] if error.args and isinstance(error.args[0], Exception) else error
