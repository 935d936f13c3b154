"""Studies: the seed fixes the proposals, no two workers take the same trial, and results are plain values."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from late import Late
from mnist_cnn.datasets import ResolvedDataset
from mnist_cnn.errors import InputError
from mnist_cnn.tuning.plan import PRUNER_NAMES, SAMPLER_NAMES, parse_objectives, parse_plan
from mnist_cnn.tuning.search_folder import TuningFolder, lead
from mnist_cnn.tuning.space import suggest_settings
from tuning.small import add_trial, small_plan, small_search

optuna = Late("optuna")
bounds, results, search, storage, strategies, studies = (
    Late(f"mnist_cnn.tuning.{name}") for name in ("bounds", "results", "search", "storage", "strategies", "study")
)

TAKE_ALL = """
import sys, time
from pathlib import Path
from mnist_cnn.tuning.search_folder import TuningFolder
from mnist_cnn.tuning.study import open_study
study = open_study(TuningFolder(Path(sys.argv[1])))
print("ready", flush=True)
sys.stdin.readline()
while True:
    time.sleep(0.05 - time.time() % 0.05)  # all ask at the same moment
    number = study.ask().number
    if number >= 40: break
    print(number)
"""


def proposals(folder: TuningFolder, count: int, sessions: bool) -> list[dict[str, Any]]:
    """Run `count` trials of a made-up objective; with `sessions`, open the study again for each."""
    plan, study = studies.open_plan(folder), studies.open_study(folder)
    for _ in range(count):
        if sessions:
            study = studies.open_study(folder)
        study.optimize(
            lambda trial: -abs(float(suggest_settings(plan.space, trial)["optimizer.learning_rate"]) - 0.004),
            n_trials=1,
        )
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("sampler", ["tpe", pytest.param("random", marks=pytest.mark.slow)])
def test_proposals_depend_on_the_seed_and_not_on_interruptions(tmp_path: Path, sampler: str) -> None:
    plan = small_plan(sampler=sampler)
    first = proposals(small_search(tmp_path / "a", plan), 12, sessions=False)
    assert proposals(small_search(tmp_path / "b", plan), 12, sessions=True) == first
    other = proposals(small_search(tmp_path / "c", small_plan(sampler=sampler, seed=1)), 3, sessions=False)
    assert first[0] == other[0]
    assert first[0]["optimizer.learning_rate"] == plan.base.optimizer.learning_rate, "it starts at the recipe"
    assert first[1] != other[1]
    assert len({tuple(params.items()) for params in first}) == len(first)


@pytest.mark.slow
def test_no_two_processes_take_the_same_waiting_trial(tmp_path: Path) -> None:
    """Optuna's SQLite storage alone gives the same trial to several: see `storage._take_turns`."""
    folder = small_search(tmp_path)
    study = studies.open_study(folder)
    for _ in range(39):
        study.enqueue_trial({"training.batch_size": 32})
    command = [sys.executable, "-c", TAKE_ALL, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    takers = [subprocess.Popen(command, **pipes) for _ in range(3)]  # type: ignore[call-overload]
    for taker in takers:
        assert taker.stdout.readline() == "ready\n"
    for taker in takers:
        taker.stdin.write("\n")
        taker.stdin.flush()
    taken = [[int(line) for line in taker.communicate(timeout=120)[0].split()] for taker in takers]
    assert sorted(number for numbers in taken for number in numbers) == list(range(40))
    assert sum(bool(numbers) for numbers in taken) > 1, "they must have been at it at once"


def test_a_plan_is_read_back(tmp_path: Path) -> None:
    plan = small_plan(objectives=("accuracy", "latency"), pruner="hyperband", seed=7)
    folder = small_search(tmp_path, plan)
    assert studies.open_plan(folder) == plan
    values = plan.to_dict()
    assert parse_plan({**values, "sampler": "random"}, "study.json").sampler == "random"
    del values["sampler"]  # of a search of an earlier version
    assert parse_plan(values, "study.json") == plan
    for name in ("sampler", "pruner"):
        with pytest.raises(InputError, match=f"study.json: there is no {name} 'medan'.*Valid: "):
            parse_plan({**values, name: "medan"}, "study.json")
    del values["seed"]
    with pytest.raises(InputError, match="lacks 'seed'"):
        parse_plan(values, "study.json")
    folder.plan.write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        studies.open_plan(folder)
    with pytest.raises(InputError, match="is not a search folder"):
        studies.open_study(TuningFolder(tmp_path / "nowhere"))


def test_results_are_plain_values_with_best_and_front(tmp_path: Path) -> None:
    plan = small_plan(objectives=("accuracy", "parameters"))
    folder = small_search(tmp_path, plan)
    for accuracy, parameters in [(0.9, 100.0), (0.95, 300.0), (0.95, 200.0), (0.8, 150.0)]:
        add_trial(folder, accuracy, parameters)
    study = studies.open_study(folder)
    broken = study.ask()
    broken.set_user_attr("reason", "no such layer")
    study.tell(broken, state=optuna.trial.TrialState.FAIL)
    found = results.read_results(folder)
    assert found.best.number == 2
    assert [trial.number for trial in found.front] == [0, 2]
    assert [trial.state for trial in found.trials] == ["complete"] * 4 + ["failed"]
    recipe = results.best_config(found, plan)
    assert recipe.optimizer.learning_rate == found.best.settings["optimizer.learning_rate"]
    assert recipe.training.epochs == plan.base.training.epochs


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("postgresql+psycopg://me:s3cret%40@host:5433/db", "postgresql+psycopg://me@host:5433/db"),
        ("postgresql://me@host/db?password=s3cret&sslpassword=s3cret", "postgresql://me@host/db"),
        ("postgresql:///db?host=/run/postgresql", "postgresql:///db?host=%2Frun%2Fpostgresql"),
    ],
)
def test_a_password_is_not_written_down(url: str, written: str) -> None:
    assert storage.without_password(url) == written


@pytest.mark.parametrize(
    "url",
    [
        "postgresql//me:s3cret@host/db",
        "postgresql://me:x@s3cret@host/db",  # read as the host `s3cret@host`
        "postgresql://me:s3cret@host:port/db",
        "mysql://me:s3cret@host/db",
    ],
)
def test_an_invalid_address_is_refused_without_being_repeated(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not the address of a PostgreSQL server") as caught:
        studies.create_study(small_plan(), TuningFolder(tmp_path, url), ResolvedDataset("digits"))
    assert "s3cret" not in str(caught.value)
    assert caught.value.__context__ is None, "which would repeat it in a traceback"


def test_a_moved_search_keeps_its_identity(tmp_path: Path) -> None:
    folder = small_search(tmp_path / "first")
    place = folder.place
    assert place != small_search(tmp_path / "second").place
    assert TuningFolder(folder.root.rename(tmp_path / "moved")).place == place


def test_commands_quote_paths_and_name_the_server(tmp_path: Path) -> None:
    folder = small_search(tmp_path / "my search")
    assert folder.train_command == f"mnist-cnn train --recipe '{folder.best}'"
    folder.plan.write_text('{"dataset": "mnist", "data_dir": "/my data"}')
    assert folder.train_command == f"mnist-cnn train --recipe '{folder.best}' --data-dir '/my data'"
    folder.plan.write_text('{"storage": "postgresql://me@host/db"}')
    assert folder.resume_command == f"mnist-cnn tune --resume '{folder.root}' --storage postgresql://me@host/db"


def test_a_lost_study_is_explained(tmp_path: Path) -> None:
    folder = small_search(tmp_path)
    optuna.delete_study(study_name=small_plan().name, storage=f"sqlite:///{folder.database}")
    with pytest.raises(InputError, match=r"study\.db does not contain the study 'small'\. Restore"):
        studies.open_study(folder)


def test_every_named_strategy_can_be_built() -> None:
    assert (tuple(strategies.SAMPLERS), tuple(strategies.PRUNERS)) == (SAMPLER_NAMES, PRUNER_NAMES)
    for sampler, pruner in itertools.zip_longest(SAMPLER_NAMES, PRUNER_NAMES, fillvalue="tpe"):
        plan = small_plan(sampler=sampler, pruner=pruner)
        assert strategies.build_sampler(plan).reseed_rng
        assert strategies.build_pruner(plan).prune


def test_a_search_that_another_process_leads_keeps_its_limits(tmp_path: Path) -> None:
    folder = small_search(tmp_path)
    bounds.save_limits(folder, bounds.Limits(trials=7, workers=2))
    with lead(folder), pytest.raises(InputError, match="another process is searching"):
        search.search(folder, bounds.Limits(seconds=1))
    assert bounds.read_limits(folder) == bounds.Limits(trials=7, workers=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acuracy", "Did you mean 'accuracy'"),
        ("latency", "put accuracy first"),
        ("accuracy,accuracy", "each other"),
    ],
)
def test_wrong_objectives(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_objectives(text)


def test_a_study_opens_where_only_optuna_is_known(tmp_path: Path) -> None:
    """As optuna-dashboard does."""
    folder = small_search(tmp_path)
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{folder.database}")
    assert study.user_attrs["mnist-cnn"]["base"]["title"] == small_plan().base.title
