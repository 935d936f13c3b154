"""The project's address, version and licence are the same wherever they are written."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
TEXTS = {".cff", ".cfg", ".html", ".ipynb", ".md", ".py", ".toml", ".yml", ".yaml"}


def tracked() -> list[Path]:
    git = shutil.which("git")
    if not git or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    names = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in names.split("\0") if Path(name).suffix in TEXTS and (ROOT / name).exists()]


def test_every_address_of_the_project_is_the_one_of_pyproject() -> None:
    home = PROJECT["urls"]["Homepage"].removeprefix("https://")
    written = re.compile(r"(?:raw\.githubusercontent\.com|github\.com)/([\w.-]+)/mnist-cnn\b")
    owner = home.split("/")[1]
    wrong = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in tracked()
        for found in written.finditer(path.read_text("utf-8"))
        if found[1] != owner
    ]
    assert wrong == []
    assert all(address.startswith(f"https://{home}") for address in PROJECT["urls"].values())


def test_the_citation_and_the_changelog_name_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert citation["repository-code"] == PROJECT["urls"]["Homepage"]
    headings = re.findall(r"^## \[?([\w.]+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[:2] == ["Unreleased", PROJECT["version"]]
