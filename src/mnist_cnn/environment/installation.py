"""How this package was installed, and the command that adds extras to this installation.

The package is on no index: `pip install mnist-cnn[…]` would install a stranger's package of that name.
PEP 610's `direct_url.json` records the origin. If it is missing or the origin is gone, the command names the extra's
own requirements instead.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_cnn.environment.shell import join, quote

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from packaging.requirements import Requirement

PACKAGE = "mnist-cnn"


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
    required = dict.fromkeys(map(str, extra_requirements(installed, extras)))
    what = _from_origin(_origin(installed), ",".join(extras)) or required
    return join([*_installer(installed), *what])


def package_command(requirement: str) -> str | None:
    """Return the command that installs one package from an index.

    Args:
        requirement: Such as "keras>=3.11".

    Returns:
        As `install_command`.
    """
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return join([*_installer(distribution(PACKAGE)), requirement])
    except PackageNotFoundError:
        return None


def run_command() -> str:
    """Return the words that run this package's command line in the user's shell, such as `.venv/bin/mnist-cnn`.

    Only in an activated environment this is `mnist-cnn`.
    """
    if is_shell_command(PACKAGE):
        return PACKAGE
    script = Path(sys.argv[0])
    return quote(sys.argv[0]) if script.stem == PACKAGE else f"{quote(sys.executable)} -m mnist_cnn"


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


def extra_requirements(installed: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    """Yield the requirements of extras for this system, without markers, the package itself and its own requirements.

    Args:
        installed: The package's metadata.
        extras: Such as "train" and "export".
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    for extra in extras:
        for requirement in map(Requirement, installed.requires or ()):
            marker = requirement.marker
            if marker is None or not marker.evaluate({"extra": extra}) or marker.evaluate({"extra": ""}):
                continue
            if canonicalize_name(requirement.name) == PACKAGE:
                yield from extra_requirements(installed, sorted(requirement.extras))
            else:
                requirement.marker = None
                yield requirement


def _installer(installed: Distribution) -> list[str]:
    """Return the first words of a command that installs into this interpreter's environment."""
    python = sys.executable
    if importlib.util.find_spec("pip"):
        return ["pip", "install"] if is_shell_command("pip") else [python, "-m", "pip", "install"]
    if (installed.read_text("INSTALLER") or "").strip() == "uv":
        return ["uv", "pip", "install", "--python", python]
    return ["pip", "--python", python, "install"]  # any pip on the system


def is_shell_command(program: str) -> bool:
    """Return whether the shell finds this environment's program by its name."""
    found = shutil.which(program)
    return bool(found) and Path(str(found)).parent == Path(sys.executable).parent
