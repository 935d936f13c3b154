"""Bulk reading on a real Ray: the same rows, killed processes, and clusters that cannot be used."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from bulk.conftest import PARTS
from cli.commands import call, run_command, start
from mnist_cnn.bulk import cluster
from mnist_cnn.bulk.cluster import read_on_cluster
from mnist_cnn.bulk.job import Job
from mnist_cnn.bulk.part_reading import PartRows
from mnist_cnn.bulk.parts import ImagePart
from mnist_cnn.cluster.connection import ClusterError, connected
from mnist_cnn.reading.reading_records import DIGIT
from ray_cluster import MARKS, kill_worker, two_machines

pytestmark = MARKS
# Progress is recorded every half second. Two cores may read all forms in that time, so a run that is to be killed in
# the middle needs more of them.
MANY = [*["forms/"] * 10, "forms.parquet"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with two_machines() as address:
        yield address


@pytest.fixture(scope="module")
def place(forms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder of forms, the same forms in a Parquet file, and the rows of both, read without Ray."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("place")
    (folder / "forms").symlink_to(forms)
    images = [path.read_bytes() for path in sorted(forms.glob("*.png"))] + [None]
    pq.write_table(pa.table({"image": images}), folder / "forms.parquet", row_group_size=100)
    assert run_command("predict", "forms/", "forms.parquet", "--output", "whole.csv", folder=folder).returncode == 1
    return folder


def test_two_nodes_write_the_same_bytes(address: str, place: Path) -> None:
    done = run_command("predict", "forms/", "forms.parquet", f"--ray={address}", "--output", "two.csv", folder=place)
    assert done.returncode == 1  # two images are unreadable
    assert (place / "two.csv").read_bytes() == (place / "whole.csv").read_bytes()
    assert done.stdout == ""
    assert "Rows: two.csv" in done.stderr.splitlines()[0], "nothing of Ray's own"


def test_parquet_has_the_same_rows_and_an_address_the_same_images(address: str, place: Path) -> None:
    import pyarrow.parquet as pq

    words = (f"file://{place}/forms", "forms.parquet", f"--ray={address}", "--output", "two.parquet")
    done = run_command("predict", *words, folder=place)
    assert done.returncode == 1, done.stderr
    found = pq.read_table(place / "two.parquet").to_pylist()
    lines = (place / "whole.csv").read_text("utf-8").splitlines()[1:]
    shown = [
        f"{row['path'].removeprefix(f'file://{place}/')},{row['digit'] or ''},{row['confidence']}" for row in found
    ]
    assert [each.removesuffix("None") for each in shown] == [",".join(line.split(",")[:3]) for line in lines]
    assert [row["accepted"] for row in found] == [line.split(",")[3] == "true" for line in lines]


def wait_for_parts(folder: Path, process: subprocess.Popen[str], parts: int) -> None:
    """Wait until a run has recorded this many parts."""
    progress = folder / "progress.json"
    while process.poll() is None:
        if progress.exists() and json.loads(progress.read_text())["parts"] >= parts:
            return
        time.sleep(0.02)
    pytest.fail(f"it ended too early: {process.communicate()}")


def rows_of_many(place: Path) -> list[str]:
    """Give the lines of a table of `MANY`, read without Ray."""
    header, *rows = (place / "whole.csv").read_text("utf-8").splitlines()
    images = [row for row in rows if row.startswith("forms/")]
    return [header, *images * MANY.count("forms/"), *rows[len(images) :]]


def test_a_killed_driver_loses_and_repeats_nothing(place: Path) -> None:
    words = ("predict", *MANY, "--ray=local", "--output", "killed.csv")
    with start(*words, folder=place) as process:
        wait_for_parts(place / "killed.csv.unfinished", process, 2)
        process.kill()
    assert not (place / "killed.csv").exists()
    done = run_command(*words, folder=place)
    assert done.returncode == 1, done.stderr
    assert (place / "killed.csv").read_text("utf-8").splitlines() == rows_of_many(place)
    assert not (place / "killed.csv.unfinished").exists()


def test_the_part_of_a_killed_worker_is_read_again(address: str, place: Path) -> None:
    words = ("predict", *MANY, f"--ray={address}", "--output", "worker.csv")
    with start(*words, folder=place) as process:
        wait_for_parts(place / "worker.csv.unfinished", process, 1)
        kill_worker("read_part")
        assert process.wait(500) == 1, process.communicate()
    assert (place / "worker.csv").read_text("utf-8").splitlines() == rows_of_many(place)


def test_a_cluster_whose_head_dies_ends_with_one_line_and_the_next_one_goes_on(place: Path) -> None:
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    mortal = Cluster(initialize_head=True, head_node_args=node)
    try:
        mortal.add_node(**node)
        with start("predict", *MANY, f"--ray={mortal.address}", "--output", "head.csv", folder=place) as process:
            wait_for_parts(place / "head.csv.unfinished", process, 1)
            mortal.remove_node(mortal.head_node, allow_graceful=False)
            _, err = process.communicate(timeout=59)  # after a minute, Ray would end the process, without our line
        assert process.returncode == 1
        assert "the cluster was lost (" in err.splitlines()[-1]
        assert err.endswith("The same command continues where it stopped.\n")
    finally:
        mortal.shutdown()
    before = json.loads((place / "head.csv.unfinished" / "progress.json").read_text())
    assert 0 < before["parts"] < MANY.count("forms/") * PARTS
    assert run_command("predict", *MANY, "--output", "head.csv", folder=place, seconds=500).returncode == 1
    assert (place / "head.csv").read_text("utf-8").splitlines() == rows_of_many(place)


def refusal(capsys: pytest.CaptureFixture[str], address: str, output: Path, forms: Path) -> str:
    """Give the only line that a run ends with."""
    code, out, err = call(capsys, "predict", forms, f"--ray={address}", "--output", output)
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert not output.with_name("rows.csv.unfinished").exists()
    return err


def test_no_cluster_at_the_address(forms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for wrong in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}", "nowhere.invalid:6379"):
        began = time.monotonic()
        err = refusal(capsys, wrong, tmp_path / "rows.csv", forms)
        assert f"no Ray cluster answers at {wrong} (" in err
        assert "--ray=local" in err
        assert time.monotonic() - began < 60


def test_an_address_from_the_environment_is_named(
    forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "nowhere.invalid:6379")
    err = refusal(capsys, "", tmp_path / "rows.csv", forms)
    assert "Check the address (RAY_ADDRESS is set to it), or start" in err


def test_auto_without_a_ray_on_this_machine(
    forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import ray

    def find_none(*_: object, **__: object) -> None:  # another test's cluster may run here
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "init", find_none)
    err = refusal(capsys, "auto", tmp_path / "rows.csv", forms)
    assert err.startswith("Error: no Ray runs on this machine. Start it with: ray start --head;")


def test_another_version_of_ray(
    address: str, forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import ray

    version = ray.__version__
    monkeypatch.setattr(ray, "__version__", "2.40.0")
    err = refusal(capsys, address, tmp_path / "rows.csv", forms)
    assert f"runs Ray {version} and Python" in err
    assert "here are Ray 2.40.0 and" in err


def test_a_worker_without_this_package(forms: Path, tmp_path: Path) -> None:
    """The workers of a local Ray find another folder of that name first."""
    (tmp_path / "mnist_cnn").mkdir()
    (tmp_path / "mnist_cnn" / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'mnist_cnn'\", name='mnist_cnn')"
    )
    program = (
        "import os, sys; from mnist_cnn.cli import main\n"
        f"os.environ['PYTHONPATH'] = {str(tmp_path)!r}\n"
        f"main(['predict', {str(forms)!r}, '--ray=local', '--output', {str(tmp_path / 'rows.csv')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "a machine of the cluster lacks mnist-cnn. Install mnist-cnn with its extra ray" in done.stderr


def answered(address: str, answer: PartRows, part: ImagePart, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the message of the error that a worker's answer causes."""
    monkeypatch.setattr(cluster, "read_part", lambda job, part: answer)
    with connected(address), pytest.raises(ClusterError) as caught:
        list(read_on_cluster(Job(DIGIT, 0.5), [part]))
    return str(caught.value)


def test_a_machine_that_does_not_see_the_images(address: str, forms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = ImagePart((str(forms / "0000.png"),))
    assert "exists here, but not on far" in answered(address, PartRows(is_missing=True, host="far"), part, monkeypatch)


def test_a_machine_without_an_extra(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = PartRows(problem="this needs the extra 'ocr'.", exit_code=2, host="far")
    message = answered(address, answer, ImagePart(("x.png",)), monkeypatch)
    assert message == "far, a machine of the cluster, cannot read: this needs the extra 'ocr'."


def test_a_part_that_kills_its_workers(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(job: Job, part: ImagePart) -> Any:
        os._exit(1)

    die.__module__ = "__main__"  # so that it travels by value
    monkeypatch.setattr(cluster, "read_part", die)
    with connected(address), pytest.raises(ClusterError, match=r"x\.png was killed 4 times"):
        list(read_on_cluster(Job(DIGIT, 0.5), [ImagePart(("x.png",))]))


@pytest.mark.parametrize("lost", ["put", "remote", "cluster_resources", "get"])
def test_a_lost_cluster(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    for name in ("put", "remote", "get"):
        monkeypatch.setattr(ray, name, mock.MagicMock())
    monkeypatch.setattr(ray, "wait", lambda references, timeout: (references, []))
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 1})
    error = ConnectionError("GRPC connection failed: \n>")  # as with ray://
    monkeypatch.setattr(ray, lost, mock.Mock(side_effect=error))
    with pytest.raises(ClusterError, match=r"the cluster was lost \(GRPC .* continues where it stopped\.$"):
        list(read_on_cluster(Job(DIGIT, 0.5), [ImagePart(("x.png",))]))
