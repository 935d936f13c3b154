from __future__ import annotations

import dataclasses
import io
import os
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datasets.mirror_server import (
    Behaviour,
    call_it_encoded,
    drip,
    fail_twice,
    flood,
    lie,
    mirrors,
    refuse,
    serve,
    sha256,
    stall,
    tiny_mnist,
    truncate,
)
from mnist_cnn.datasets.idx import read_idx
from mnist_cnn.datasets.registry import SOURCES, RemoteFile, Source

pytestmark = pytest.mark.usefixtures("bare_machine")
TEST = [("test", "images"), ("test", "labels")]
Tiny = tuple[Source, dict[str, bytes]]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    from mnist_cnn.datasets import download

    monkeypatch.setattr(download, "PAUSE_SECONDS", 0)
    return download


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return tiny_mnist(tmp_path / "original")


def visible(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name != ".lock")


def served_by(source: Source, *addresses: str) -> Source:
    return dataclasses.replace(source, mirrors=addresses)


def assert_whole(source: Source, folder: Path) -> None:
    assert visible(folder) == sorted(source.files[key].name for key in TEST)
    for key in TEST:
        assert read_idx(folder / source.files[key].name).shape == source.files[key].shape


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (refuse, "HTTP 404 Not Found$"),
        (truncate, "IncompleteRead"),
        (lie, r"wrong content \(SHA-256"),
        (flood, "it sends more than"),
        (drip, "too slow"),
        (stall, "timed out"),
    ],
    ids=["404", "truncate", "lie", "flood", "drip", "stall"],
)
def test_a_bad_mirror_is_named_and_the_next_one_used(
    module: Any, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: Behaviour, reason: str
) -> None:
    source, contents = tiny
    for name, value in (("GRACE_SECONDS", 0.3), ("TIMEOUT", 0.5), ("RETRY_SECONDS", 0.3)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "LARGEST", 2**20)
    with mirrors(contents, bad=bad, good=serve) as (addresses, _):
        module.download(served_by(source, addresses["bad"], addresses["good"]), TEST, tmp_path / "cache")
        assert_whole(source, tmp_path / "cache")
        with pytest.raises(module.MirrorsFailedError, match=reason) as caught:
            module.download(served_by(source, addresses["bad"]), TEST, tmp_path / "empty")
    assert visible(tmp_path / "empty") == []
    assert len(caught.value.attempts) == 1
    assert caught.value.attempts[0].startswith("http://127.0.0.1")


def test_a_transient_failure_is_retried(module: Any, tiny: Tiny, tmp_path: Path) -> None:
    source, contents = tiny
    with mirrors(contents, flaky=fail_twice()) as (addresses, _):
        module.download(served_by(source, *addresses.values()), TEST, tmp_path / "cache")
    assert_whole(source, tmp_path / "cache")


def test_a_refusal_is_final(module: Any, tiny: Tiny, tmp_path: Path) -> None:
    source, contents = tiny
    with mirrors(contents, bad=refuse) as (addresses, requests), pytest.raises(module.MirrorsFailedError):
        module.download(served_by(source, *addresses.values()), TEST, tmp_path / "cache")
    assert len(requests) == 2  # whether the mirror answers, and the file


def test_a_file_is_kept_as_it_is_if_its_compression_is_called_an_encoding(
    module: Any, tiny: Tiny, tmp_path: Path
) -> None:
    source, contents = tiny
    with mirrors(contents, good=call_it_encoded) as (addresses, _):
        module.download(served_by(source, *addresses.values()), TEST, tmp_path / "cache")
    assert_whole(source, tmp_path / "cache")


def test_only_missing_and_damaged_files_are_downloaded(module: Any, tiny: Tiny, tmp_path: Path) -> None:
    source, contents = tiny
    images, labels = (source.files[key].name for key in TEST)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / images).write_bytes(contents[images])
    (tmp_path / "cache" / labels).write_bytes(contents[labels][:-9])
    (tmp_path / "cache" / ".partial-t10k-killed.gz").touch()  # what a killed download leaves
    with mirrors(contents, good=serve) as (addresses, requests):
        module.download(served_by(source, *addresses.values()), TEST, tmp_path / "cache")
    assert_whole(source, tmp_path / "cache")
    assert sum(images in request for request in requests) == 1  # only the question whether the mirror answers


def test_progress_is_reported_to_the_end(module: Any, tiny: Tiny, tmp_path: Path) -> None:
    source, contents = tiny
    reported: list[tuple[str, int, int]] = []
    with mirrors(contents, good=serve) as (addresses, _):
        whole = served_by(source, *addresses.values())
        module.download(whole, TEST, tmp_path / "cache", lambda *state: reported.append(state))
    for key in TEST:
        name = source.files[key].name
        done = [state[1:] for state in reported if state[0] == name]
        assert done == sorted(done)
        assert done[-1] == (len(contents[name]), len(contents[name]))


def test_an_archive_is_unpacked_and_removed(module: Any, tiny: Tiny, tmp_path: Path) -> None:
    source, contents = tiny
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, content in contents.items():
            zipped.writestr(f"gzip/{name}", content)
        zipped.writestr("gzip/emnist-letters-images", b"not wanted")
    whole = buffer.getvalue()
    archive = RemoteFile("all.zip", sha256=sha256(whole))
    with mirrors({"all.zip": whole}, bad=truncate, good=serve) as (addresses, requests):
        places = [address.format(file="all.zip") for address in addresses.values()]
        packed = dataclasses.replace(served_by(source, *places), archive=archive)
        module.download(packed, TEST, tmp_path / "cache")
        count = len(requests)
        module.download(packed, TEST, tmp_path / "cache")
        assert len(requests) == count + 2  # both mirrors were asked, and nothing was downloaded again
    assert visible(tmp_path / "cache") == sorted(contents)


@pytest.fixture
def silent_address() -> Iterator[str]:
    """An address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/{{file}}"


def test_silent_and_closed_mirrors_are_noticed_soon_and_side_by_side(
    module: Any, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent_address: str
) -> None:
    assert module.ANSWER_SECONDS <= 10  # so that "auto" without a network decides within about 15 s
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.5)
    dead = (silent_address, "http://127.0.0.1:1/{file}", *(f"{silent_address}?{number}" for number in range(5)))
    started = time.monotonic()
    with pytest.raises(module.MirrorsFailedError) as caught:
        module.download(served_by(tiny[0], *dead), TEST, tmp_path / "cache")
    assert time.monotonic() - started < 2.5  # one after the other it would be 3 s at least
    assert len(caught.value.attempts) == len(dead)
    assert "no answer within 0.5 s" in caught.value.attempts[0]
    assert "refused" in caught.value.attempts[1]
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_cannot_be_created_is_reported(module: Any, tiny: Tiny, tmp_path: Path) -> None:
    source, contents = tiny
    (tmp_path / "file").touch()
    with (
        mirrors(contents, good=serve) as (addresses, _),
        pytest.raises(module.MirrorsFailedError, match=r"cannot be written .*set \$MNIST_CNN_CACHE"),
    ):
        module.download(served_by(source, *addresses.values()), TEST, tmp_path / "file" / "cache")


_CHILD = """
import dataclasses, pathlib, sys
from datasets.mirror_server import tiny_mnist
from mnist_cnn.datasets.download import download
root, mirror = pathlib.Path(sys.argv[1]), sys.argv[2]
source, _ = tiny_mnist(root / sys.argv[3])
download(dataclasses.replace(source, mirrors=(mirror,)), source.files, root / "cache")
"""


def child(root: Path, mirror: str, name: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", _CHILD, str(root), mirror, name], env=environment)


@pytest.mark.slow
def test_two_processes_at_once_download_once(tiny: Tiny, tmp_path: Path) -> None:
    source, contents = tiny
    with mirrors(contents, good=serve) as (addresses, requests):
        children = [child(tmp_path, addresses["good"], f"child{index}") for index in range(2)]
        assert [process.wait(60) for process in children] == [0, 0]
    assert visible(tmp_path / "cache") == sorted(contents)
    labels = source.files["train", "labels"].name
    assert sum(labels in request for request in requests) == 1


def test_the_registry_is_consistent() -> None:
    for name, source in SOURCES.items():
        assert source.name == name
        assert len(set(source.class_names)) == len(source.class_names) > 1
        for (_, kind), file in source.files.items():
            assert (len(file.shape) == 3) == (kind == "images")
            assert len((source.archive or file).sha256) == 64
        for split in ("train", "test"):
            assert source.files[split, "images"].shape[0] == source.files[split, "labels"].shape[0]
