"""The confirmation of the best trial on the test set, on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnist_cnn.cli.data import resolve
from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.models.quiet import start_keras

if TYPE_CHECKING:
    from mnist_cnn.tuning.confirmation import Confirmation
    from mnist_cnn.tuning.results import StudyResults
    from mnist_cnn.tuning.search_folder import TuningFolder


def confirm_best(folder: TuningFolder, results: StudyResults, seeds: int, terminal: Terminal) -> Confirmation | None:
    """Retrain the best trial's settings and the recipe, and show how they compare on the test set."""
    found = folder.find_data()
    data = resolve(found.name, found.data_dir, terminal)
    terminal.say(f"Confirming the best trial: training its settings and the recipe with {seeds} seeds each.")
    start_keras()
    from mnist_cnn.cli.progress import TerminalListener
    from mnist_cnn.tuning.conclusions import confirmation_verdict
    from mnist_cnn.tuning.retraining import confirm

    with TerminalListener(terminal) as listener:
        confirmed = confirm(
            folder,
            results,
            data,
            seeds,
            listener=listener,
            on_begin=lambda run: terminal.say(f"Training {run.root} on all training images"),
        )
    if confirmed:
        rows = [
            (pair.seed, f"{pair.recipe:.2%}", f"{pair.found:.2%}", f"{100 * pair.gain:+.2f}", pair.test.p_value)
            for pair in confirmed.pairs
        ]
        columns = ["seed", "recipe", f"trial {confirmed.trial}", "points", "McNemar p"]
        terminal.table(columns, rows, title=f"Accuracy on the {confirmed.images:,} test images")
        terminal.say(confirmation_verdict(confirmed))
    return confirmed
