"""Images in an object store: a real S3 protocol, spoken by Moto's server on this machine."""

from __future__ import annotations

import csv
import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.commands import run_command

_SERVER = os.environ.get("MOTO_SERVER") or shutil.which("moto_server")
_FEW = 40

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(600),
    pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="PyArrow is not installed"),
    pytest.mark.skipif(
        _SERVER is None,
        reason="MOTO_SERVER does not name a server. Install Moto in an environment of its own, as .ci/run does",
    ),
]


class Store:
    """A server with a bucket, `forms`, that can stop and start again with what it had."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._log = folder / "moto.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = [str(_SERVER), "-H", "127.0.0.1", "-p", str(self.port)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        pytest.fail(self._log.read_text())

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def address(self, path: str) -> str:
        return f"s3://{path}?endpoint_override=127.0.0.1:{self.port}&scheme=http&region=eu-central-1"


@pytest.fixture(scope="module")
def store(forms: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with some forms in two folders, a damaged one, and the same images in a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow.fs import FileSystem

    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        found = Store(tmp_path_factory.mktemp("store"))
        found.start()
        try:
            address = found.address("forms") + "&allow_bucket_creation=true"
            bucket, _ = FileSystem.from_uri(address)
            bucket.create_dir("forms")
            for file in files(forms):
                with bucket.open_output_stream(f"forms/2024/{file.relative_to(forms)}") as stream:
                    stream.write(file.read_bytes())
            table = pa.table({"image": [file.read_bytes() for file in files(forms)]})
            pq.write_table(table, "forms/rows.parquet", filesystem=bucket)
            yield found
        finally:
            found.stop()


def files(forms: Path) -> list[Path]:
    """Some of the forms, in the order of their rows: the files of a folder come before its subfolders."""
    above = [*sorted(forms.glob("0*.png"))[:_FEW], forms / "damaged.png"]
    return [*above, *sorted(forms.glob("inside/*.png"))[:_FEW]]


def readings(table: Path) -> list[list[str]]:
    """The rows without the path and the error, which name the place."""
    return [row[1:5] for row in csv.reader(table.open(encoding="utf-8", newline=""))]


@pytest.fixture(scope="module")
def expected(forms: Path, tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """The rows of the same files on the disk."""
    folder = tmp_path_factory.mktemp("disk")
    assert run_command("predict", *files(forms), "--output", "rows.csv", folder=folder).returncode == 1
    return readings(folder / "rows.csv")


@pytest.mark.parametrize("ray", [[], ["--ray=local"]])
def test_a_folder_of_a_bucket_is_read_as_one_on_the_disk(
    ray: list[str], store: Store, forms: Path, expected: list[list[str]], tmp_path: Path
) -> None:
    done = run_command("predict", store.address("forms/2024"), *ray, "--output", "rows.csv", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert readings(tmp_path / "rows.csv") == expected
    paths = [row[0] for row in csv.reader((tmp_path / "rows.csv").open(encoding="utf-8", newline=""))][1:]
    assert paths == [f"s3://forms/2024/{file.relative_to(forms)}" for file in files(forms)]


@pytest.mark.parametrize("ray", [[], ["--ray=local"]])
def test_a_parquet_file_of_a_bucket_is_read(
    ray: list[str], store: Store, expected: list[list[str]], tmp_path: Path
) -> None:
    done = run_command("predict", store.address("forms/rows.parquet"), *ray, "--output", "rows.csv", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert readings(tmp_path / "rows.csv") == expected
    assert (tmp_path / "rows.csv").read_text("utf-8").splitlines()[1].startswith("s3://forms/rows.parquet#0,")


def test_what_is_not_there_ends_with_one_line(store: Store, tmp_path: Path) -> None:
    for path in ("forms/2023", "nowhere/2024", "forms/none.parquet"):
        done = run_command("predict", store.address(path), "--output", "rows.csv", folder=tmp_path)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert f"s3://{path}" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_store_that_stops_ends_with_one_line(store: Store, tmp_path: Path) -> None:
    address = store.address("forms/2024")
    store.stop()  # the last test: what it had is gone
    done = run_command("predict", address, "--output", "rows.csv", folder=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "cannot be read" in done.stderr
    assert not list(tmp_path.iterdir())
