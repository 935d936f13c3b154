"""The command that adds an extra: it installs from the package's origin, never from an index by name."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mnist_cnn.environment.installation import install_command, package_command, run_command
from mnist_cnn.errors import MissingExtraError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
METADATA = """Metadata-Version: 2.4
Name: mnist-cnn
Version: 1.0
Requires-Dist: numpy>=2.0
Requires-Dist: keras>=3.11; extra == 'train'
Requires-Dist: tensorflow>=2.18; (platform_machine != 'nonesuch') and extra == 'train'
Requires-Dist: winonly>=1; (sys_platform == 'nonesuch') and extra == 'train'
Requires-Dist: psycopg[binary]>=3.2; extra == 'tune'
Requires-Dist: mnist-cnn[train]; extra == 'tune'
"""


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An activated environment in which the package seems to be installed; returns its dist-info folder."""
    info = tmp_path / "site" / "mnist_cnn-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(METADATA)
    monkeypatch.setattr(sys, "path", [str(info.parent), *sys.path])
    pip = str(Path(sys.executable).parent / "pip")
    monkeypatch.setattr(shutil, "which", lambda _: pip)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: True)
    monkeypatch.setattr("mnist_cnn.environment.shell._WINDOWS", False)
    return info


def came_from(info: Path, **origin: Any) -> str:
    (info / "direct_url.json").write_text(json.dumps(origin))
    return str(install_command(["train"]))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "my project's copy"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("")
    return folder


@pytest.mark.parametrize(("editable", "words"), [(True, ["-e"]), (False, [])])
def test_a_local_folder_is_installed_from_there(
    environment: Path, source: Path, editable: bool, words: list[str]
) -> None:
    command = came_from(environment, url=source.as_uri(), dir_info={"editable": editable} if editable else {})
    assert shlex.split(command) == ["pip", "install", *words, f"{source}[train]"]


def test_a_repository_is_installed_at_the_same_commit(environment: Path) -> None:
    vcs = {"vcs": "git", "requested_revision": "main", "commit_id": COMMIT}
    command = came_from(environment, url="https://example.org/a/b.git", vcs_info=vcs)
    assert command == f"pip install 'mnist-cnn[train] @ git+https://example.org/a/b.git@{COMMIT}'"
    command = came_from(environment, url="ssh://git@example.org/b", vcs_info=vcs, subdirectory="python/here")
    assert command == f"pip install 'mnist-cnn[train] @ git+ssh://git@example.org/b@{COMMIT}#subdirectory=python/here'"


def test_an_archive_is_installed_again_if_it_still_exists(environment: Path, tmp_path: Path) -> None:
    archive = {"hashes": {"sha256": "0" * 64}}
    remote = "https://example.org/mnist_cnn-1.0-py3-none-any.whl"
    command = came_from(environment, url=remote, archive_info=archive)
    assert command == f"pip install 'mnist-cnn[train] @ {remote}'"
    wheel = tmp_path / "mnist_cnn-1.0-py3-none-any.whl"
    wheel.write_bytes(b"")
    command = came_from(environment, url=wheel.as_uri(), archive_info={})
    assert command == f"pip install 'mnist-cnn[train] @ {wheel.as_uri()}'"
    wheel.unlink()
    assert came_from(environment, url=wheel.as_uri(), archive_info={}) == "pip install 'keras>=3.11' 'tensorflow>=2.18'"


@pytest.mark.parametrize("content", [None, "{", '{"url": 3}', '{"url": "file:///gone", "dir_info": {}}'])
def test_without_an_origin_the_requirements_themselves_are_named(environment: Path, content: str | None) -> None:
    if content is not None:
        (environment / "direct_url.json").write_text(content)
    assert install_command(["train"]) == "pip install 'keras>=3.11' 'tensorflow>=2.18'"
    assert install_command(["tune", "train"]) == "pip install 'psycopg[binary]>=3.2' 'keras>=3.11' 'tensorflow>=2.18'"


def test_the_installer_is_the_one_of_this_environment(
    environment: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/my env/bin/python")
    what = shlex.quote(f"{source}[train]")
    assert came_from(environment, url=source.as_uri(), dir_info={}) == (
        f"'/opt/my env/bin/python' -m pip install {what}"  # the pip on the path is another environment's
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert install_command(["train"]) == f"pip --python '/opt/my env/bin/python' install {what}"
    (environment / "INSTALLER").write_text("uv\n")
    assert install_command(["train"]) == f"uv pip install --python '/opt/my env/bin/python' {what}"


def test_the_program_is_named_as_this_shell_finds_it(
    environment: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run_command() == "mnist-cnn"
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["my env/bin/mnist-cnn"])
    assert run_command() == "'my env/bin/mnist-cnn'"
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "__main__.py")])
    assert run_command() == f"{shlex.quote(sys.executable)} -m mnist_cnn"


def test_one_package_is_installed_by_its_requirement(environment: Path) -> None:
    assert package_command("keras>=3.11") == "pip install 'keras>=3.11'"


def test_windows_gets_double_quotes(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnist_cnn.environment.shell._WINDOWS", True)
    assert install_command(["train"]) == 'pip install "keras>=3.11" "tensorflow>=2.18"'


def test_without_an_installation_there_is_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", nothing)
    error = MissingExtraError("keras", "train")
    assert str(error) == (
        "this needs the extra 'train': keras is not installed. Install this package again with the extra train."
    )


def test_the_command_for_this_installation_survives_the_shell() -> None:
    """Nothing is installed: a shell splits the command into the intended words, and a folder in it is ours."""
    command = install_command(["serve"])
    assert command
    printed = subprocess.run(f"printf '%s\\n' {command}", shell=True, capture_output=True, text=True, check=True)  # noqa: S602
    words = printed.stdout.splitlines()
    assert words == shlex.split(command)
    assert "install" in words
    assert not any(word.startswith("mnist-cnn[") and "@" not in word for word in words), "an index may be wrong"
    local = [Path(word.removesuffix("[serve]")) for word in words if word.startswith(os.sep) and word.endswith("]")]
    assert all((folder / "pyproject.toml").is_file() for folder in local)


def test_no_text_installs_the_package_from_an_index() -> None:
    root = Path(__file__).parents[2]
    files = [file for room in ("src", "docs", "apps") for file in (root / room).rglob("*") if file.is_file()]
    allowed = ("installation.py", "releasing.md")  # explains why not; checks a version that was just published
    for file in [*files, root / "README.md", root / "CONTRIBUTING.md", root / "Containerfile"]:
        if file.suffix in (".py", ".md", ".html", ".js", ".toml", "") and file.name not in allowed:
            text = file.read_text("utf-8")
            assert not re.search(r"install (--?\S+ )*[\"']?mnist-cnn", text), file
