"""How this package was installed, and the command that adds extras to this installation.

The package is on no index: `pip install mnist-cnn[…]` would install a stranger's package of that name.
PEP 610's `direct_url.json` records the origin. If it is missing or the origin is gone, the command names the extra's
own requirements instead.
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
    """Return the command that installs extras, quoted for this system's shell.

    Args:
        extras: Such as "train" and "export".

    Returns:
        One line; None if the package is not installed, as in a copied folder.
    """
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError:
        return None
    required = dict.fromkeys(_requirements(installed, extras))
    what = _from_origin(_origin(installed), ",".join(extras)) or required
    return " ".join(map(_quote, [*_installer(installed), *what]))


def _origin(installed: Distribution) -> Mapping[str, Any]:
    try:
        origin = json.loads(installed.read_text("direct_url.json") or "{}")
    except ValueError:  # treated like a missing file
        return {}
    return origin if isinstance(origin, dict) and isinstance(origin.get("url"), str) else {}


def _from_origin(origin: Mapping[str, Any], extras: str) -> list[str]:
    """Return what pip must install again, with extras; nothing if the origin is unknown or gone."""
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


def _requirements(installed: Distribution, extras: Iterable[str]) -> Iterator[str]:
    """Yield the requirements of extras for this system, without the package itself."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    for extra in extras:
        for requirement in map(Requirement, installed.requires or ()):
            marker = requirement.marker
            if marker is None or not marker.evaluate({"extra": extra}) or marker.evaluate({"extra": ""}):
                continue
            if canonicalize_name(requirement.name) == PACKAGE:
                yield from _requirements(installed, sorted(requirement.extras))
            else:
                requirement.marker = None
                yield str(requirement)


def _installer(installed: Distribution) -> list[str]:
    """Return the first words of a command that installs into this interpreter's environment."""
    python = sys.executable
    if importlib.util.find_spec("pip"):
        found = shutil.which("pip")
        own = found and Path(found).parent == Path(python).parent  # the environment is activated
        return ["pip", "install"] if own else [python, "-m", "pip", "install"]
    if (installed.read_text("INSTALLER") or "").strip() == "uv":
        return ["uv", "pip", "install", "--python", python]
    return ["pip", "--python", python, "install"]  # any pip on the system


def _quote(word: str) -> str:
    if not _WINDOWS:
        return shlex.quote(word)
    return word if word.replace("\\", "").replace(":", "").replace("-", "").isalnum() else f'"{word}"'
