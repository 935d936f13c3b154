from __future__ import annotations

import dataclasses
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from datasets.mirror_server import (
    Behaviour,
    drip,
    fail_first,
    flood,
    html,
    lie,
    mirrors,
    serve,
    sha256,
    status,
    tiny_mnist,
    truncate,
    truncate_unnoticed,
)
from mnist_cnn.datasets import download as module
from mnist_cnn.datasets.download import MirrorsFailedError, download
from mnist_cnn.datasets.idx import read_idx, write_idx
from mnist_cnn.datasets.sources import RemoteFile, Source

pytestmark = pytest.mark.usefixtures("bare_machine")
TEST = [("test", "images"), ("test", "labels")]


@pytest.fixture(autouse=True)
def _no_waiting_between_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._receive.retry, "sleep", lambda _seconds: None)  # noqa: SLF001 - our own


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[Source, dict[str, bytes]]:
    return tiny_mnist(tmp_path / "original")


def visible(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name != ".lock")


def assert_whole(source: Source, folder: Path) -> None:
    assert visible(folder) == sorted(source.files[key].name for key in TEST)
    for key in TEST:
        assert read_idx(folder / source.files[key].name).shape == source.files[key].shape


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (status(403), "HTTP 403 Forbidden"),
        (status(404), "HTTP 404 Not Found"),
        (status(503), "HTTP 503 Service Unavailable"),
        (truncate, "peer closed connection without sending complete message body"),
        (truncate_unnoticed, "wrong content \\(is a damaged gzip file"),
        (lie, "wrong content: wrong checksum"),
        (html, "wrong content \\(is not an IDX file"),
        (flood, "it sends more than"),
        (drip, "too slow"),
    ],
    ids=["403", "404", "503", "truncate", "truncate-unnoticed", "lie", "html", "flood", "drip"],
)
def test_a_bad_mirror_is_named_and_the_next_one_used(
    tiny: tuple[Source, dict[str, bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bad: Behaviour,
    reason: str,
) -> None:
    source, contents = tiny
    if bad is drip:
        monkeypatch.setattr(module, "GRACE_SECONDS", 2.0)
    with mirrors(contents, bad=bad, good=serve) as (addresses, _):
        good = dataclasses.replace(source, mirrors=(addresses["bad"], addresses["good"]))
        download(good, TEST, tmp_path / "cache")
        assert_whole(source, tmp_path / "cache")
        with pytest.raises(MirrorsFailedError, match=reason) as caught:
            download(dataclasses.replace(source, mirrors=(addresses["bad"],)), TEST, tmp_path / "empty")
    assert visible(tmp_path / "empty") == []
    assert len(caught.value.attempts) == 1
    assert caught.value.attempts[0].startswith("http://127.0.0.1")


@pytest.mark.parametrize(("code", "times"), [(503, 2), (500, 1), (429, 2)])
def test_a_passing_failure_is_retried(
    tiny: tuple[Source, dict[str, bytes]], tmp_path: Path, code: int, times: int
) -> None:
    source, contents = tiny
    with mirrors(contents, flaky=fail_first(code, times)) as (addresses, _):
        download(dataclasses.replace(source, mirrors=tuple(addresses.values())), TEST, tmp_path / "cache")
    assert_whole(source, tmp_path / "cache")


def test_what_is_there_is_not_fetched_again_and_what_is_damaged_is(
    tiny: tuple[Source, dict[str, bytes]], tmp_path: Path
) -> None:
    source, contents = tiny
    images, labels = (source.files[key].name for key in TEST)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / images).write_bytes(contents[images])
    (tmp_path / "cache" / labels).write_bytes(contents[labels][:-9])
    (tmp_path / "cache" / ".t10k-images-idx3-ubyte-killed.gz").touch()  # what a killed download leaves
    with mirrors(contents, good=serve) as (addresses, requests):
        download(dataclasses.replace(source, mirrors=tuple(addresses.values())), TEST, tmp_path / "cache")
    assert_whole(source, tmp_path / "cache")
    assert not any(images in request for request in requests)


def test_progress_is_told_to_the_end(tiny: tuple[Source, dict[str, bytes]], tmp_path: Path) -> None:
    source, contents = tiny
    told: list[tuple[str, int, int]] = []
    with mirrors(contents, good=serve) as (addresses, _):
        whole = dataclasses.replace(source, mirrors=tuple(addresses.values()))
        download(whole, TEST, tmp_path / "cache", lambda *state: told.append(state))
    for key in TEST:
        name = source.files[key].name
        done = [state[1:] for state in told if state[0] == name]
        assert done == sorted(done)
        assert done[-1] == (len(contents[name]), len(contents[name]))


def test_a_published_checksum_of_the_packed_file_must_match(
    tiny: tuple[Source, dict[str, bytes]], tmp_path: Path
) -> None:
    source, contents = tiny
    files = {
        key: dataclasses.replace(file, content_sha256="", packed_sha256=sha256(contents[file.name]))
        for key, file in source.files.items()
    }
    with mirrors(contents, bad=lie, good=serve) as (addresses, _):
        packed = dataclasses.replace(source, files=files, mirrors=(addresses["bad"], addresses["good"]))
        download(packed, TEST, tmp_path / "cache")
        assert (tmp_path / "cache" / files[TEST[0]].name).read_bytes() == contents[files[TEST[0]].name]
        with pytest.raises(MirrorsFailedError, match=r"wrong content \(SHA-256"):
            download(dataclasses.replace(packed, mirrors=(addresses["bad"],)), TEST, tmp_path / "empty")


def test_an_archive_is_unpacked_and_removed(tiny: tuple[Source, dict[str, bytes]], tmp_path: Path) -> None:
    source, contents = tiny
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, content in contents.items():
            zipped.writestr(f"gzip/{name}", content)
        zipped.writestr("gzip/emnist-letters-images", b"not wanted")
    whole = buffer.getvalue()
    archive = RemoteFile("all.zip", len(whole), packed_sha256=sha256(whole))
    with mirrors({"all.zip": whole}, bad=truncate_unnoticed, good=serve) as (addresses, _):
        places = tuple(address.format(file="all.zip") for address in addresses.values())
        download(dataclasses.replace(source, archive=archive, mirrors=places), TEST, tmp_path / "cache")
    assert visible(tmp_path / "cache") == sorted(contents)


@pytest.fixture
def silent_address() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/{{file}}"


def test_silence_and_closed_doors_are_noticed_soon_and_side_by_side(
    tiny: tuple[Source, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent_address: str
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"http://127.0.0.1:{server.getsockname()[1]}/{{file}}"
    dead = (silent_address, closed, *(f"{silent_address}?{number}" for number in range(5)))
    started = time.monotonic()
    with pytest.raises(MirrorsFailedError) as caught:
        download(dataclasses.replace(tiny[0], mirrors=dead), TEST, tmp_path / "cache")
    assert time.monotonic() - started < 4 * module.ANSWER_SECONDS  # one after the other it would be 6
    assert len(caught.value.attempts) == len(dead)
    assert "no answer within 2 s" in caught.value.attempts[0]
    assert "refused" in caught.value.attempts[1]
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_cannot_be_made_says_so(tiny: tuple[Source, dict[str, bytes]], tmp_path: Path) -> None:
    source, contents = tiny
    (tmp_path / "file").touch()
    with (
        mirrors(contents, good=serve) as (addresses, _),
        pytest.raises(MirrorsFailedError, match=r"cannot be written .*set \$MNIST_CNN_CACHE"),
    ):
        download(dataclasses.replace(source, mirrors=tuple(addresses.values())), TEST, tmp_path / "file" / "cache")


_CHILD = """
import dataclasses, pathlib, sys
from datasets.mirror_server import tiny_mnist
from mnist_cnn.datasets.download import download
root, mirror = pathlib.Path(sys.argv[1]), sys.argv[2]
source, _ = tiny_mnist(root / sys.argv[3])
print("ready", flush=True)
download(dataclasses.replace(source, mirrors=(mirror,)), source.files, root / "cache")
"""


def child(root: Path, mirror: str, name: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", _CHILD, str(root), mirror, name]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_two_processes_at_once_download_once(tiny: tuple[Source, dict[str, bytes]], tmp_path: Path) -> None:
    source, contents = tiny
    with mirrors(contents, good=serve) as (addresses, requests):
        children = [child(tmp_path, addresses["good"], f"child{index}") for index in range(2)]
        for process in children:
            process.communicate(timeout=60)
        assert [process.returncode for process in children] == [0, 0]
    assert visible(tmp_path / "cache") == sorted(contents)
    images = [request for request in requests if source.files["train", "images"].name in request]
    assert len(images) == 1


def test_a_killed_download_leaves_nothing_under_the_final_name(
    tiny: tuple[Source, dict[str, bytes]], tmp_path: Path
) -> None:
    _, contents = tiny
    half_way = threading.Event()

    def stall_half_way(request: object, content: bytes) -> None:
        request.send_response(200)  # type: ignore[attr-defined]
        request.end_headers()  # type: ignore[attr-defined]
        request.wfile.write(content[: len(content) // 2])  # type: ignore[attr-defined]
        request.wfile.flush()  # type: ignore[attr-defined]
        if any((tmp_path / "cache").glob(".*.gz")):  # not the first question, which wants only an answer
            half_way.set()
        time.sleep(1)

    with mirrors(contents, stall=stall_half_way) as (addresses, _):
        process = child(tmp_path, addresses["stall"], "child")
        assert half_way.wait(30)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not set(visible(tmp_path / "cache")) & set(contents)


def test_the_table_of_sources_is_sound() -> None:
    from mnist_cnn.datasets.sources import SOURCES

    for name, source in SOURCES.items():
        assert source.name == name
        assert len(source.class_names) == 10
        for (_, kind), file in source.files.items():
            assert file.name.endswith(".gz")
            assert (len(file.shape) == 3) == (kind == "images")
            assert source.archive or file.content_sha256 or file.packed_sha256
            assert all(len(checksum) in (0, 64) for checksum in (file.content_sha256, file.packed_sha256))
        for split in ("train", "test"):
            assert source.files[split, "images"].shape[0] == source.files[split, "labels"].shape[0]


def test_writing_idx_for_the_mirror_is_repeatable(tmp_path: Path) -> None:
    for name in "ab":
        write_idx(tmp_path / f"{name}.gz", np.arange(9, dtype=np.uint8))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
