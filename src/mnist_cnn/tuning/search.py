"""The leader of a search: starts workers, watches the study, writes the best recipe, stops in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from mnist_cnn.config import save_config
from mnist_cnn.tuning.bounds import Bounds, Limits, save_limits
from mnist_cnn.tuning.local_crew import LocalCrew, local_crew
from mnist_cnn.tuning.ray_crew import RayCrew, ray_crew
from mnist_cnn.tuning.results import StudyResults, best_config, collect
from mnist_cnn.tuning.search_folder import TuningFolder, lead
from mnist_cnn.tuning.storage import explain_loss
from mnist_cnn.tuning.study import open_plan, open_study

_LOOK = 1.0  # seconds between two looks at the study


def search(
    folder: TuningFolder,
    limits: Limits,
    *,
    on_look: Callable[[StudyResults], None] = lambda _: None,
    ray_head: str | None = None,
) -> StudyResults:
    """Search until the limits are reached.

    Args:
        folder: Of a study that was created or joined; an earlier search continues.
        limits: How long, over all sessions; saved for the next session.
        on_look: Receives the state of the study once a second.
        ray_head: What `connected` yields, if the machines of that Ray cluster work instead of processes here.

    Returns:
        The final state of the study; the best recipe is in `folder.best`.

    Raises:
        RunFolderError: The folder is not a search folder, or another process searches in it.
        ClusterError: The cluster cannot be used.
        MnistCnnError: No trial succeeds, workers are killed again and again, or the database is lost.
        KeyboardInterrupt: Ctrl-C; all results so far are kept.
    """
    plan, study = open_plan(folder), open_study(folder)
    noted = -1

    def look() -> StudyResults:
        nonlocal noted
        results = collect(study, plan, folder)
        if results.best and results.best.number != noted:
            save_config(folder.best, best_config(results, plan))
            noted = results.best.number
        on_look(results)
        return results

    with lead(folder), explain_loss(folder):
        save_limits(folder, limits)
        began = time.monotonic() - folder.seconds_used()
        seconds = limits.seconds - folder.seconds_used()
        bounds = Bounds(trials=limits.trials, deadline=time.time() + seconds)
        try:
            if seconds > 0:
                with _start_crew(folder, limits, bounds, ray_head) as crew:
                    while crew.is_busy():
                        look()
                        folder.save_seconds(time.monotonic() - began)
                        time.sleep(_LOOK)
        finally:
            folder.save_seconds(time.monotonic() - began)
            results = look()
    return results


def _start_crew(
    folder: TuningFolder, limits: Limits, bounds: Bounds, ray_head: str | None
) -> AbstractContextManager[LocalCrew | RayCrew]:
    if ray_head is None:
        return local_crew(folder, limits, bounds)
    return ray_crew(folder, limits, bounds, ray_head)
