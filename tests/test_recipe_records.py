"""How `benchmarks/recipes.py` records runs in pieces, and how the tables combine them."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from late import Late
from mnist_cnn.config import Config, ModelConfig, override, save_config
from mnist_cnn.datasets import ResolvedDataset
from records import describe_command, write_records
from tables import all_recipes, current_recipes, summarise_recipes

repeated, distillation = Late("repeated_runs"), Late("distillation")

EPYC, XEON = "AMD EPYC (2 cores: avx2)", "Intel Xeon (2 cores: avx2)"
WITH_AMX = "Intel Xeon (1 core: avx2, avx512f, avx512_bf16, amx_bf16)"
WITH_AVX512 = "AMD EPYC (Zen 5) (2 cores: avx2, avx512f)"


def measured(seed: int, accuracy: float, processor: str = EPYC, settings: str = "new") -> Any:
    seconds = 100.0 + seed
    times = {"epochs": 3, "seconds": seconds, "cpu_seconds": 2 * seconds, "total_seconds": 110.0}
    values = {"seed": seed, "accuracy": accuracy, "log_loss": 0.01 * accuracy, "peak_memory_gib": 1.0, **times}
    network = {"parameters": 1000, "multiply_adds": 2_500_000, "kilobytes": 12}
    return repeated.Measured("quick", settings, processor, values, network)


def record(path: Path, *runs: Any, note: str = "") -> None:
    for each in runs:
        repeated.record_run(
            each, argparse.Namespace(record=path, note=note), "python benchmarks/recipes.py --recipes quick"
        )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recipes.json"


def test_runs_of_one_kind_share_a_record_and_a_repeated_seed_is_replaced(path: Path) -> None:
    record(path, measured(1, 99.0), measured(0, 98.0), measured(1, 97.0), measured(0, 96.0, XEON))
    first, second = json.loads(path.read_text("utf-8"))
    assert [first["processor"], second["processor"]] == [EPYC, XEON]
    (row,) = first["result"]
    assert [(run["seed"], run["accuracy"]) for run in row["runs"]] == [(0, 98.0), (1, 97.0)]
    assert (row["seeds"], row["accuracy"], row["seconds"]) == (2, 97.5, 100.5)
    assert first["command"].endswith("--recipes quick --seeds 2")
    assert [each.values["seed"] for each in repeated.recorded_runs(path)] == [0, 1, 0]


def test_records_of_other_settings_and_of_earlier_versions_are_kept(path: Path) -> None:
    earlier = {"result": [{"recipe": "quick", "accuracy": 90.0}], "processor": EPYC}
    of_means = {**earlier, "settings": "new", "note": ""}
    write_records(path, [earlier, of_means])
    record(path, measured(0, 99.0, settings="old"), measured(0, 98.0), measured(0, 97.0))
    found = json.loads(path.read_text("utf-8"))
    assert found[:2] == [earlier, of_means]
    assert [each["settings"] for each in found[2:]] == ["old", "new"]


def test_the_accuracy_is_that_of_all_seeds_and_the_time_the_shortest_on_one_processor(path: Path) -> None:
    record(path, measured(0, 90.0, settings="old"), measured(2, 99.0, XEON), measured(1, 98.0), note="")
    record(path, measured(3, 97.0), note="beside other work")
    (recipe,) = summarise_recipes(path.parent)
    assert recipe.row["seeds"] == 3
    assert recipe.row["accuracy"] == pytest.approx(98)
    assert recipe.row["accuracy_sd"] == pytest.approx(1)
    assert recipe.seconds == 101
    rows = all_recipes(path.parent).splitlines()
    assert len(rows) == 2 + 3, "without the old settings"
    assert all("| 2.50 |" in row for row in rows[2:])


def test_processors_without_avx512_replace_no_figures_of_others(path: Path) -> None:
    record(path, measured(4, 99.0, WITH_AVX512), measured(4, 98.0), measured(5, 98.0))
    (recipe,) = summarise_recipes(path.parent)
    assert (recipe.row["seeds"], recipe.row["accuracy"], recipe.seconds) == (1, 99.0, 104)
    assert recipe.expected_time == "104 s on two cores of an AMD EPYC (Zen 5) with AVX-512"
    assert len(all_recipes(path.parent).splitlines()) == 2 + 2


def test_times_with_amx_replace_no_times_of_others(path: Path) -> None:
    record(path, measured(4, 99.0, WITH_AVX512), measured(0, 98.0, WITH_AMX))
    (recipe,) = summarise_recipes(path.parent)
    assert (recipe.row["seeds"], recipe.row["accuracy"], recipe.seconds) == (2, 98.5, 104)


def test_what_only_amx_or_a_limited_processor_trained_counts(path: Path) -> None:
    limited = WITH_AMX.replace(")", "; oneDNN limited to AVX2)")
    record(path, measured(4, 99.0, WITH_AMX), measured(0, 98.0, limited))
    (recipe,) = summarise_recipes(path.parent)
    assert (recipe.row["seeds"], recipe.row["accuracy"], recipe.seconds) == (1, 99.0, 104)


@pytest.mark.parametrize("words", [["--data-dir", "DIR", "--record", "x.json"], ["--data-dir=DIR", "--record=x.json"]])
def test_a_command_is_recorded_without_this_machine_s_paths(words: list[str], tmp_path: Path) -> None:
    here = [word.replace("DIR", str(tmp_path)) for word in words]
    assert describe_command(["/x/ink.py", *here, "--seeds", "2"]) == "python benchmarks/ink.py --data-dir DIR --seeds 2"


def test_the_published_figures_are_those_of_the_recipes_as_they_are() -> None:
    results = Path(__file__).parents[1] / "benchmarks" / "results"
    for name, rows in current_recipes(results).items():
        settings = rows[-1][1].get("settings")  # the first records do not have them
        assert settings in (None, repeated.digest_settings(repeated.recipe_config(name))), name


def test_the_digest_of_settings_ignores_the_seed() -> None:
    def digest(**changes: Any) -> Any:
        return repeated.digest_settings(override(repeated.recipe_config("conv3"), changes))

    assert digest(**{"training.seed": 7}) == digest()
    assert digest(**{"training.epochs": 7}) != digest()


def test_only_what_differs_from_the_defaults_identifies_settings() -> None:
    empty = hashlib.sha256(b"{}").hexdigest()[:12]
    assert repeated.digest_settings(Config(title="other words")) == empty
    assert repeated.digest_settings(override(Config(), {"training.seed": 7})) == empty
    assert repeated.digest_settings(override(Config(), {"training.epochs": 7})) != empty


def test_a_distilled_network_is_identified_by_its_teacher_wherever_that_is(tmp_path: Path) -> None:
    def teacher(folder: str, *seeds: int) -> Path:
        members = []
        for seed in seeds:
            members.append(tmp_path / folder / f"seed-{seed}")
            members[-1].mkdir(parents=True)
            save_config(members[-1] / "config.toml", override(Config(), {"training.seed": seed}))
        path = tmp_path / folder
        save_config(path / "config.toml", Config(model=ModelConfig(average=tuple(map(str, members)))))
        return path

    one, same, other = teacher("one", 0, 1), teacher("same", 0, 1), teacher("other", 0, 2)
    shorter = {"training.epochs": 2}
    student = distillation.student("quick", one, shorter)
    assert (student.training.epochs, student.distillation.teacher) == (2, str(one))
    digests = [
        distillation.digest_distilled(distillation.student("quick", *each))
        for each in ((one, {}), (same, {}), (other, {}), (one, shorter), (one / "seed-0", {}), (one / "seed-1", {}))
    ]
    assert digests[0] == digests[1]
    assert len({*digests, repeated.digest_settings(repeated.recipe_config("quick"))}) == 6


def test_a_relative_folder_of_runs_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def train_each(jobs: list[Any], ray: object, on_end: Any) -> None:
        for job in jobs:
            on_end(job, {"accuracy": 0.99})

    def measure(one: Any, job: Any) -> Any:
        return measured(job.config.training.seed, 99.0, settings=one.settings)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("repeated_runs.train_each", train_each)
    monkeypatch.setattr("repeated_runs.measure", measure)
    monkeypatch.setattr("repeated_runs.resolve_dataset", lambda *_, **__: ResolvedDataset("mnist"))
    options = argparse.Namespace(
        data_dir=None, first_seed=1, seeds=2, runs_dir=Path("runs"), record=Path("new/it.json"), note=""
    )
    config = repeated.recipe_config("quick")
    series = [repeated.Repeated("quick", config, repeated.digest_settings(config), "python benchmarks/recipes.py")]
    for expected in ("quick-seed1-001: 99.00%\nquick-seed2-001: 99.00%\n", ""):
        assert [each.values["seed"] for each in repeated.train_missing(series, options)] == [1, 2]
        assert capsys.readouterr().err == expected  # the second time, nothing is missing
