"""How this package was installed, and the commands that add to this very installation or update it.

No package index has the package, so `pip install mnist-cnn[…]` would install whatever somebody registers under that
name. Where it came from is told by PEP 610's `direct_url.json`; where that is missing or leads nowhere any more, the
extra's own requirements are named.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import Distribution

PACKAGE = "mnist-cnn"

_WINDOWS = os.name == "nt"


def install_command(extras: Sequence[str]) -> str | None:
    """Give the command that installs extras, quoted for the shell of this system.

    Args:
        extras: Such as "train" and "export".

    Returns:
        One line; None where nothing is known of the installation, as in a copied folder.
    """
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError:
        return None
    what = _from_origin(_origin(installed), ",".join(extras)) or _requirements(installed, extras)
    return _line([*_installer(installed), *what])


def upgrade_command(package: str) -> str:
    """Give the command that updates another package in this environment, quoted for the shell of this system."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        installed = distribution(package)
    except PackageNotFoundError:
        return f"pip install --upgrade {package}"
    return _line([*_installer(installed), "--upgrade", package])


def _line(words: Iterable[str]) -> str:
    return " ".join(map(_quote, words))


def _origin(installed: Distribution) -> Mapping[str, Any]:
    try:
        origin = json.loads(installed.read_text("direct_url.json") or "{}")
    except ValueError:  # which is as if it were missing
        return {}
    return origin if isinstance(origin, dict) and isinstance(origin.get("url"), str) else {}


def _from_origin(origin: Mapping[str, Any], extras: str) -> list[str]:
    """Say what pip is to install again, with extras; nothing where the origin is unknown or gone."""
    if not origin:
        return []
    url: str = origin["url"]
    path = _local_path(url)
    if "dir_info" in origin:
        editable = ["-e"] if origin["dir_info"].get("editable") else []
        return [*editable, f"{path}[{extras}]"] if path and (path / "pyproject.toml").is_file() else []
    if path and not path.exists():
        return []
    below = f"#subdirectory={origin['subdirectory']}" if origin.get("subdirectory") else ""
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return [f"{PACKAGE}[{extras}] @ {vcs['vcs']}+{url}@{vcs['commit_id']}{below}"]
    return [f"{PACKAGE}[{extras}] @ {url}{below}"]


def _local_path(url: str) -> Path | None:
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def _requirements(installed: Distribution, extras: Iterable[str]) -> list[str]:
    """Give the requirements of extras for this system, each once, without those of the package itself."""
    return list(dict.fromkeys(_each_requirement(installed, extras)))


def _each_requirement(installed: Distribution, extras: Iterable[str]) -> Iterator[str]:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    for extra in extras:
        for requirement in map(Requirement, installed.requires or ()):
            marker = requirement.marker
            if marker is None or not marker.evaluate({"extra": extra}) or marker.evaluate({"extra": ""}):
                continue
            if canonicalize_name(requirement.name) == PACKAGE:
                yield from _each_requirement(installed, sorted(requirement.extras))
            else:
                requirement.marker = None
                yield str(requirement)


def _installer(installed: Distribution) -> list[str]:
    """Give the words that begin a command which installs into the environment of this interpreter."""
    python = sys.executable or "python"  # empty where Python runs inside another program
    if importlib.util.find_spec("pip"):
        found = shutil.which("pip")
        own = found and Path(found).parent == Path(python).parent  # the environment is activated
        return ["pip", "install"] if own else [python, "-m", "pip", "install"]
    if (installed.read_text("INSTALLER") or "").strip() == "uv":
        return ["uv", "pip", "install", "--python", python]
    return ["pip", "--python", python, "install"]  # any pip of the system


def _quote(word: str) -> str:
    if not _WINDOWS:
        return shlex.quote(word)
    return word if word.replace("\\", "").replace(":", "").replace("-", "").isalnum() else f'"{word}"'
