"""Make the weights that are included in the package: train, check, export, describe.

All choices were made on validation data and on people's own pictures, in `recipes/light.toml` and in `STAGES`; the test
set is read after training. If the script is interrupted, start it again to resume.

    python scripts/make_weights.py [--data-dir DIR] [--runs-dir runs/weights]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from mnist_cnn.config import SHIPPED_MODEL, SHIPPED_ON, load_recipe, override
from mnist_cnn.evaluation import narrative
from mnist_cnn.files import write_text, write_whole
from mnist_cnn.reading.recognizer import Recognizer
from mnist_cnn.runs import RunFolder
from mnist_cnn.series.training_jobs import is_complete

RECIPE = "light"
# More digits to learn from than a comparison of recipes allows; the rest is enough to fit the threshold on.
EVERYWHERE = {"data.validation": SHIPPED_ON.validation}
# First, many composed pictures teach other people's hands and cameras, for which the recipe's network is too narrow.
# Then, few of them remain, and MNIST's own digits are learnt again: of ones and sevens, the two know different forms.
# Last come stray marks, which teach the network to see past lines, gaps and blots.
STAGES: tuple[dict[str, Any], ...] = (
    {"training.composed": 0.4, "training.epochs": 160, "model.arguments.filters": [16, 48, 80, 80, 96]},
    {"training.composed": 0.12, "training.epochs": 30, "optimizer.learning_rate": 2e-3},
    {"training.composed": 0.2, "training.epochs": 24, "optimizer.learning_rate": 2e-3, "augmentation.marks": 0.3},
)
CARD = Path(__file__).with_name("weights_card.md")
WEIGHTS = Path(__file__).parents[1] / "src" / "mnist_cnn" / "reading" / "weights"
FORMATS = ("onnx", "keras")  # to read with, and to fine-tune
LARGEST = 1_600_000  # bytes, of both
LEAST_ACCURATE = 0.996  # share of MNIST's test set


def main() -> None:
    """Train, export, and put the result into the package."""
    options = parse_options()
    data = ["--data-dir", str(options.data_dir)] if options.data_dir else []
    runs = train(options.runs_dir, data)
    run = runs[-1]
    exports = mnist_cnn("export", str(run.root), "--format", ",".join(FORMATS), *data)["exports"]
    size, accuracy = sum(each["bytes"] for each in exports), min(each["accuracy"] for each in exports)
    if size > LARGEST:
        sys.exit(f"{run.exports} has {size:,} bytes in {FORMATS}; the package takes at most {LARGEST:,}.")
    if accuracy < LEAST_ACCURATE:
        sys.exit(f"{run.root} reads {accuracy:.2%}; the package takes at least {LEAST_ACCURATE:.2%}.")
    for each in exports:
        file = Path(each["path"])
        with write_whole(WEIGHTS / f"{SHIPPED_MODEL}{file.suffix}") as partial:
            shutil.copyfile(file, partial)
    write_text(WEIGHTS / "README.md", describe(runs))
    print(f"{size:,} bytes, {accuracy:.2%} on MNIST's test set, in {WEIGHTS}")


def train(runs_dir: Path, data: Sequence[str]) -> list[RunFolder]:
    """Train stage after stage, each from the weights of the one before; return the runs."""
    runs: list[RunFolder] = []
    for number, stage in enumerate(STAGES, 1):
        run = RunFolder(runs_dir / f"{RECIPE}-{number:03d}")
        if not is_complete(run):
            settings = [word for name, value in (EVERYWHERE | stage).items() for word in ("--set", f"{name}={value}")]
            start = ["--init-from", str(runs[-1].root)] if runs else []
            begin = ["--recipe", RECIPE, "--dataset", SHIPPED_ON.dataset, *start, *settings]
            how = ["--resume", str(run.root)] if run.config.exists() else ["--runs-dir", str(runs_dir), *begin]
            mnist_cnn("train", *how, *data)
        runs.append(run)
    return runs


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's files; default: search this machine")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/weights"))
    return parser.parse_args()


def mnist_cnn(*words: str) -> dict[str, Any]:
    """Run one command and give its JSON object; what it says to people goes to standard error."""
    command = [sys.executable, "-m", "mnist_cnn", *words, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def describe(runs: Sequence[RunFolder]) -> str:
    """Write the model card of the finished files, in the Hugging Face form."""
    onnx, keras = (WEIGHTS / f"{SHIPPED_MODEL}.{format_}" for format_ in FORMATS)
    metrics = [run.read_json(run.metrics) for run in runs]
    trained = [each["training"] for each in metrics]
    configs = [load_recipe(str(run.config)) for run in runs]
    later = [override(config, {"model.init_from": f"stage {number}"}) for number, config in enumerate(configs[1:], 1)]
    stages = [
        narrative.recipe(config, each["epochs"], each["best_epoch"])
        for config, each in zip([*configs[:1], *later], trained, strict=True)
    ]
    template = jinja2.Template(CARD.read_text("utf-8"), undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    card: str = template.render(
        size=onnx.stat().st_size,
        keras_size=keras.stat().st_size,
        metadata=Recognizer.load(onnx).metadata,
        metrics=metrics[-1],
        training=", ".join(
            f"{each['seconds'] / 60:.0f} min on {run.read_json(run.environment)['processor']}"
            for run, each in zip(runs, trained, strict=True)
        ),
        stages=stages,
    )
    return card


if __name__ == "__main__":
    main()
