"""Downloads: mirrors in turn, each file verified and put in place whole or not at all.

Every wait is bounded: first all mirrors are asked at once which of them answer, so that a machine without a
network knows it within seconds; then each request has time-outs, and each file a lowest bearable speed.
"""

from __future__ import annotations

import contextlib
import hashlib
import queue
import shutil
import threading
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import httpx
import tenacity
from filelock import FileLock

from mnist_cnn.datasets.idx import read_idx
from mnist_cnn.datasets.places import verify
from mnist_cnn.errors import DataError, DatasetUnavailableError
from mnist_cnn.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mnist_cnn.datasets.registry import RemoteFile, Source

ANSWER_SECONDS = 8.0  # how long all mirrors together have to send the first line of an answer
GRACE_SECONDS = 20.0  # for one file, whatever its size
SLOWEST = 50_000  # bytes per second; a mirror slower than this, after the grace, is given up
ATTEMPTS = 3  # at one mirror, where it failed in a way that may pass
_TIMEOUT = httpx.Timeout(15.0, connect=5.0)  # seconds between two signs of life
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses worth another try


class Progress(Protocol):
    """Told while a file comes in; the command line draws a bar from it."""

    def __call__(self, file: str, done: int, total: int) -> None:
        """Take the file's name, the bytes that have come, and the bytes expected."""


class MirrorsFailedError(DatasetUnavailableError):
    """No mirror gave a file."""

    def __init__(self, attempts: Sequence[str]) -> None:
        super().__init__("; ".join(attempts))
        self.attempts = attempts  # one line per mirror: its address and why it failed


class _TooSlowError(Exception):
    pass


def download(source: Source, keys: Iterable[tuple[str, str]], folder: Path, progress: Progress | None = None) -> None:
    """Fetch some files of a data set into `folder`, those that are not there yet.

    Safe with several processes at once: one downloads, the others wait and find the files.

    Args:
        source: The data set.
        keys: Which of `source.files`.
        folder: Made where it is missing.
        progress: Told of every piece that comes in.

    Raises:
        MirrorsFailedError: No mirror gave what is missing.
        MnistCnnError: The disk is full.
    """
    wanted = [source.files[key] for key in keys]
    first = source.archive or min(wanted, key=lambda file: file.size)
    addresses, refusals = _answering([mirror.format(file=first.name) for mirror in source.mirrors])
    mirrors = [mirror for mirror in source.mirrors if mirror.format(file=first.name) in addresses]
    if not mirrors:
        raise MirrorsFailedError(refusals)
    with _alone_in(folder):
        missing = [file for file in wanted if not _is_whole(folder / file.name, file, source)]
        if missing and source.archive:
            _fetch_archive(source, source.archive, mirrors, folder, progress)
            return
        for file in sorted(missing, key=lambda file: file.size):  # small first: bad mirrors show soon
            _fetch(file, source, mirrors, folder / file.name, progress, refusals)


def _answering(addresses: Sequence[str]) -> tuple[set[str], list[str]]:
    """Ask all at once; give those that answered anything at all, and a line for each that did not."""
    answers: queue.Queue[tuple[str, str]] = queue.Queue()
    for address in addresses:
        # Daemon threads, since looking up a name can hang for a minute, which no time-out of httpx covers.
        threading.Thread(target=lambda to=address: answers.put((to, _ask(to))), daemon=True).start()
    failures = dict.fromkeys(addresses, f"no answer within {ANSWER_SECONDS:g} s")
    deadline = time.monotonic() + ANSWER_SECONDS
    for _ in addresses:
        try:
            address, failure = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        failures[address] = failure
    return (
        {address for address, failure in failures.items() if not failure},
        [f"{address}: {failure}" for address, failure in failures.items() if failure],
    )


def _ask(address: str) -> str:
    try:
        with _client() as client, client.stream("GET", address):
            return ""
    except Exception as error:  # besides its own: proxy settings that httpx cannot use
        return _reason(error)


def _fetch(
    file: RemoteFile,
    source: Source,
    mirrors: Sequence[str],
    target: Path,
    progress: Progress | None,
    refusals: Sequence[str] = (),
) -> None:
    """Put one file at `target` from the first mirror that gives it right."""
    attempts = list(refusals)
    for mirror in mirrors:
        address = mirror.format(file=file.name)
        try:
            with write_whole(target) as partial:
                _receive(address, partial, file, progress)
                _check_download(partial, file, source)
            return
        except (httpx.HTTPError, _TooSlowError, DataError) as error:
            attempts.append(f"{address}: {_reason(error)}")
    raise MirrorsFailedError(attempts)


def _fetch_archive(
    source: Source, archive: RemoteFile, mirrors: Sequence[str], folder: Path, progress: Progress | None
) -> None:
    """Fetch one zip with everything in it, unpack the data set's files beside it, and remove it."""
    path = folder / archive.name
    try:
        _fetch(archive, source, mirrors, path, progress)
        with zipfile.ZipFile(path) as zipped:
            members = {Path(name).name: name for name in zipped.namelist()}
            for file in source.files.values():
                with zipped.open(members[file.name]) as member, write_whole(folder / file.name) as partial:
                    with partial.open("wb") as stream:
                        shutil.copyfileobj(member, stream)
                    _check_download(partial, file, source)
    finally:
        path.unlink(missing_ok=True)


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _PASSING
    # After a time-out the next mirror is the better bet.
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.TimeoutException)


@tenacity.retry(
    retry=tenacity.retry_if_exception(_may_pass),
    stop=tenacity.stop_after_attempt(ATTEMPTS),
    wait=tenacity.wait_exponential(multiplier=0.3, max=3),
    reraise=True,
)
def _receive(address: str, partial: Path, file: RemoteFile, progress: Progress | None) -> None:
    """Write what an address sends, within the bounds of time and size."""
    deadline = time.monotonic() + GRACE_SECONDS + file.size / SLOWEST
    done, limit = 0, 2 * file.size + 1024  # mirrors may pack a little differently
    with _client() as client, client.stream("GET", address) as response, partial.open("wb") as stream:
        response.raise_for_status()
        total = int(response.headers.get("Content-Length") or file.size)
        for chunk in response.iter_raw():  # raw, since some servers mark the .gz itself as a content encoding
            done += stream.write(chunk)
            if done > limit:
                raise DataError(f"it sends more than {limit:,} bytes where about {file.size:,} are expected")
            if time.monotonic() > deadline:
                raise _TooSlowError(f"too slow: {done:,} bytes after {GRACE_SECONDS + file.size / SLOWEST:.0f} s")
            if progress:
                progress(file.name, done, max(total, done))


def _check_download(partial: Path, file: RemoteFile, source: Source) -> None:
    if file.packed_sha256:
        with partial.open("rb") as stream:
            checksum = hashlib.file_digest(stream, "sha256").hexdigest()
        if checksum != file.packed_sha256:
            raise DataError(f"wrong content (SHA-256 {checksum[:12]}…, expected {file.packed_sha256[:12]}…)")
    if file.shape:
        try:
            array = read_idx(partial)
        except DataError as error:
            raise DataError(f"wrong content ({str(error).removeprefix(str(partial)).strip()})") from error
        verify(array, file, "wrong content", source)


def _is_whole(path: Path, file: RemoteFile, source: Source) -> bool:
    try:
        _check_download(path, file, source)
    except (DataError, OSError):
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
        for left_over in folder.glob(".?*-*"):  # of a download that was killed: nobody else writes here now
            left_over.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def _client() -> httpx.Client:
    # The bytes are checked in the end, so that a redirect or a mirror without TLS does no harm.
    return httpx.Client(timeout=_TIMEOUT, follow_redirects=True, headers={"Accept-Encoding": "identity"})


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code} {error.response.reason_phrase}".strip()
    if isinstance(error, httpx.ConnectTimeout | httpx.ReadTimeout):
        return "timed out"
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
