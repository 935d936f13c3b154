"""Which extras are complete."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mnist_cnn.environment import extras
from mnist_cnn.environment.extras import PURPOSES, Dependency, dependencies

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]


def test_every_extra_for_users_has_a_purpose() -> None:
    for_contributors = {"dev", "docs", "release"}
    assert set(PURPOSES) == set(PROJECT["optional-dependencies"]) - {"all"} - for_contributors


def test_the_base_is_installed() -> None:
    found = dependencies()
    assert {f"{each.name}{each.required}" for each in found} >= {"numpy>=2.0", "onnxruntime>=1.24"}
    assert all(each.is_met for each in found)


def test_an_extra_includes_those_it_is_made_of_but_not_the_base() -> None:
    names = {each.name for each in dependencies("tune")}
    assert {"optuna", "keras"} <= names
    assert "click" not in names


def test_versions_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"numpy": "1.26.4", "click": "9.0rc1"}
    monkeypatch.setattr(extras, "package_version", lambda name: versions.get(name, ""))
    found = {each.name: each for each in dependencies()}
    assert found["numpy"] == Dependency("numpy", ">=2.0", "1.26.4", is_met=False)
    assert found["click"].is_met
    assert found["rich"].is_missing
    assert not extras.is_complete("train")
