"""How many tasks a cluster gets, and with how many cores."""

from __future__ import annotations

import pytest

from mnist_cnn.cluster import tasks


@pytest.mark.parametrize(
    ("machines", "wanted", "cores", "count"),
    [
        ([4], 1, 4, 1),
        ([4], 2, 2, 2),
        ([4], 3, 1, 3),  # one core is left
        ([8], 3, 2, 3),
        ([4], 6, 1, 4),  # more than there are cores
        ([4, 4], 3, 1, 6),
        ([4, 8], 3, 1, 9),  # in proportion
        ([4, 6], 1, 4, 2),
        ([], 2, 1, 1),  # none has joined yet
    ],
)
def test_no_machine_gets_more_tasks_than_wanted(
    machines: list[int], wanted: int, cores: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_cores", lambda: machines)
    assert tasks.cores_of_each_machine(wanted) == cores
    assert tasks.count_tasks(cores, wanted) == count
