from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mnist_cnn.environment.shell import quote
from mnist_cnn.errors import InputError, MnistCnnError
from mnist_cnn.runs import Row, RunFolder, best_epoch, create_run, discard_run, lock_run, open_run, valid_name


def test_runs_are_numbered_by_name_and_never_reuse_a_number(tmp_path: Path) -> None:
    assert [create_run(str(tmp_path), "a").name for _ in range(3)] == ["a-001", "a-002", "a-003"]
    assert create_run(tmp_path, "a-b").name == "a-b-001"
    (tmp_path / "a-002").rmdir()
    assert create_run(tmp_path, "a").name == "a-004"
    for name in ("a-x", "xa-005", "a-007-old", "a-999"):
        (tmp_path / name).mkdir()
    assert [create_run(tmp_path, "a").name for _ in range(2)] == ["a-1000", "a-1001"]


def test_runs_created_at_once_get_different_folders(tmp_path: Path) -> None:
    roots: list[Path] = []
    start = threading.Barrier(8)

    def make() -> None:
        start.wait()
        roots.extend(create_run(tmp_path / "runs", "a").root for _ in range(5))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(roots)) == len(roots) == 40


def test_a_place_that_cannot_hold_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MnistCnnError, match=r"file cannot contain runs: .*--runs-dir"):
        create_run(tmp_path / "file", "a")


def test_other_folders_are_refused(tmp_path: Path) -> None:
    create_run(tmp_path, "batchnorm").config.write_text("")
    with pytest.raises(InputError, match=r"there is no run .*batchnorm-002\. Did you mean 'batchnorm-001'\?"):
        open_run(tmp_path / "batchnorm-002")
    with pytest.raises(InputError, match="path that `mnist-cnn train` printed"):
        open_run(str(tmp_path / "nowhere" / "batchnorm-001"))
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(InputError, match=r"is not a run folder \(config\.toml is missing\)"):
            open_run(path)


def test_the_command_that_resumes_a_run_survives_a_shell() -> None:
    path = Path("my runs", "a-001")
    assert RunFolder(path).resume_command == f"mnist-cnn train --resume {quote(str(path))}"


@pytest.mark.parametrize(
    ("text", "name"),
    [("quick-archive (1)", "quick-archive -1"), ("données été", "données été"), ("../x", "x"), ("(", "run"),
     ("a" * 300, "a" * 90)],
)  # fmt: skip
def test_any_text_has_a_similar_valid_name(text: str, name: str, tmp_path: Path) -> None:
    assert valid_name(text) == name
    assert create_run(tmp_path, valid_name(text)).name == f"{name}-001"


def test_a_run_has_a_name_where_the_path_is_a_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create_run(tmp_path, "a")
    monkeypatch.chdir(run.root)
    assert RunFolder(Path()).name == "a-001"


def test_a_finished_run_has_a_model_and_nothing_to_resume(tmp_path: Path) -> None:
    run = create_run(tmp_path, "a")
    assert not run.finished
    run.state.write_bytes(b"")
    run.model.write_bytes(b"")
    assert not run.finished
    run.state.unlink()
    assert run.finished


def test_a_missing_or_broken_file_of_a_run_is_named(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with pytest.raises(InputError, match=r"metrics\.json is missing because .*--resume"):
        run.read_json(run.metrics)
    for content in (b"{", b"\xff"):
        run.metrics.write_bytes(content)
        with pytest.raises(InputError, match=r"metrics\.json is not valid JSON"):
            run.read_json(run.metrics)
    run.metrics.write_text('{"accuracy": 1}')
    assert run.read_json(run.metrics) == {"accuracy": 1}


def test_one_run_is_trained_by_one_process(tmp_path: Path) -> None:
    run = create_run(tmp_path, "mine")
    (run.root / ".partial-state-abc.npz").write_bytes(b"half written by a process that was killed")
    (run.root / ".partial-saved_model").mkdir(parents=True)
    (run.root / ".partial-saved_model" / "half.pb").write_bytes(b"half")
    with lock_run(run):
        assert not list(run.root.rglob(".partial*"))
        with pytest.raises(InputError, match="another process"), lock_run(run):
            pass
    discard_run(run)
    assert not run.root.exists()
    run = create_run(tmp_path, "mine")
    with lock_run(run):
        pass


@pytest.mark.parametrize(("monitor", "best"), [("loss", 2), ("accuracy", 3)])
def test_the_best_epoch_is_the_first_of_equals(monitor: str, best: int) -> None:
    losses, accuracies = [3, 1, 2, 1], [0.1, 0.2, 0.9, 0.9]
    history: list[Row] = [
        {"epoch": 1 + index, "loss": -index, "val_loss": losses[index], "val_accuracy": accuracies[index]}
        for index in range(4)
    ]
    assert best_epoch(history, monitor) == best


def test_without_validation_the_last_epoch_is_the_best() -> None:
    assert best_epoch([{"epoch": 1, "loss": 0.1}, {"epoch": 2, "loss": 0.2}], "loss") == 2
    assert best_epoch([{"epoch": 1, "val_loss": 2.0}, {"epoch": 2, "val_loss": float("nan")}], "loss") == 1
