"""Make the weights that are included in the package: train, check, export, describe.

All choices were made on validation data, in `recipes/light.toml` and in `SETTINGS`; the test set is read after
training. If the script is interrupted, start it again to resume.

    python scripts/make_weights.py [--data-dir DIR] [--runs-dir runs/weights]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jinja2

from mnist_cnn.config import SHIPPED_MODEL, SHIPPED_ON, load_recipe
from mnist_cnn.evaluation import narrative
from mnist_cnn.files import write_text, write_whole
from mnist_cnn.reading.recognizer import Recognizer
from mnist_cnn.runs import RunFolder

RECIPE = "light"
SETTINGS = {
    # More digits to learn from than a comparison of recipes allows; the rest is enough to fit the threshold on.
    "data.validation": SHIPPED_ON.validation,
    "training.composed": 0.5,
    "training.epochs": 160,  # half of the pictures are composed: as many of MNIST's as in the recipe
}
CARD = Path(__file__).with_name("weights_card.md")
WEIGHTS = Path(__file__).parents[1] / "src" / "mnist_cnn" / "reading" / "weights"
FORMATS = ("onnx", "keras")  # to read with, and to fine-tune
LARGEST = 1_000_000  # bytes, of both
LEAST_ACCURATE = 0.996  # share of MNIST's test set


def main() -> None:
    """Train, export, and put the result into the package."""
    options = parse_options()
    run = RunFolder(options.runs_dir / f"{RECIPE}-001")
    data = ["--data-dir", str(options.data_dir)] if options.data_dir else []
    if not run.finished:
        settings = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
        begin = ["--recipe", RECIPE, "--dataset", SHIPPED_ON.dataset, "--runs-dir", str(options.runs_dir), *settings]
        mnist_cnn("train", *(["--resume", str(run.root)] if run.config.exists() else begin), *data)
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
    write_text(WEIGHTS / "README.md", describe(run))
    print(f"{size:,} bytes, {accuracy:.2%} on MNIST's test set, in {WEIGHTS}")


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


def describe(run: RunFolder) -> str:
    """Write the model card of the finished files, in the Hugging Face form."""
    onnx, keras = (WEIGHTS / f"{SHIPPED_MODEL}.{format_}" for format_ in FORMATS)
    config = load_recipe(str(run.config))
    metrics = run.read_json(run.metrics)
    template = jinja2.Template(CARD.read_text("utf-8"), undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    card: str = template.render(
        size=onnx.stat().st_size,
        keras_size=keras.stat().st_size,
        metadata=Recognizer.load(onnx).metadata,
        metrics=metrics,
        processor=run.read_json(run.environment)["processor"],
        recipe=narrative.recipe(config, metrics["training"]["epochs"], metrics["training"]["best_epoch"]),
    )
    return card


if __name__ == "__main__":
    main()
