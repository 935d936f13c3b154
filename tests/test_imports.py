"""What importing costs and changes, and the names of modules and classes."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "mnist_cnn"
HEAVY = {"tensorflow", "keras", "jax", "torch", "matplotlib", "scipy", "sklearn", "requests", "jinja2"}
LIGHT_MODULES = [
    *("mnist_cnn.config", "mnist_cnn.datasets", "mnist_cnn.runs", "mnist_cnn.training.listener"),
    *("mnist_cnn.reading.ink", "mnist_cnn.reading.recognizer", "mnist_cnn.cli.predict"),
]


def run_python(program: str, **variables: str) -> str:
    """Run a program in a fresh process and return what it printed."""
    unset = {"ORT_DISABLE_TELEMETRY", "OPENBLAS_NUM_THREADS", "TF_ENABLE_ONEDNN_OPTS"}
    environment = {key: value for key, value in os.environ.items() if key not in unset} | variables
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_light_modules_import_no_heavy_library() -> None:
    loaded = run_python(f"import sys, {', '.join(LIGHT_MODULES)}; print(*sys.modules)").split()
    assert set(LIGHT_MODULES) <= set(loaded)
    assert not HEAVY & {name.partition(".")[0] for name in loaded}


def test_reading_needs_nothing_of_the_training_side() -> None:
    """With every module of the training side blocked, the bundled weights read a digit."""
    ours = [f"mnist_cnn.{name}" for name in ("config", "datasets", "models", "runs", "training", "export", "cli")]
    blocked = [*HEAVY, *ours, "pydantic", "rich", "click", "onnx", "h5py", "filelock", "psutil"]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked}))\n"
        "import numpy as np\n"
        "from mnist_cnn import Recognizer\n"
        "image = np.full((60, 40), 255, np.uint8); image[10:50, 18:23] = 0\n"
        "print(Recognizer.load().read(image).label)"
    )
    assert run_python(program) == "1\n"


def test_without_the_extra_the_training_side_says_how_to_install_it() -> None:
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['keras', 'tensorflow']))\n"
        "import mnist_cnn\n"
        "try: mnist_cnn.train\n"
        "except mnist_cnn.MissingExtraError as error: print(error)\n"
        "try: mnist_cnn.open_model('digits')\n"  # imports Keras only when it is called
        "except mnist_cnn.MissingExtraError as error: print(error)"
    )
    assert run_python(program).count("this needs the extra 'train': keras is not installed") == 2


def test_importing_any_module_leaves_the_environment_unchanged() -> None:
    """Except `models.backend`, whose purpose is a variable of TensorFlow; modules that need Keras are not imported."""
    blocked = ["tensorflow", "keras", "mnist_cnn.models.backend"]
    program = (
        "import importlib, os, pkgutil, sys\n"
        f"sys.modules.update(dict.fromkeys({blocked}))\n"
        "import cv2, sklearn, mnist_cnn\n"  # the first two change it themselves
        "before, count = dict(os.environ), 0\n"
        "for module in pkgutil.walk_packages(mnist_cnn.__path__, 'mnist_cnn.', onerror=str):\n"
        "    try: count += bool(importlib.import_module(module.name))\n"
        "    except ImportError: pass\n"
        "    changes = dict(os.environ).items() ^ before.items()\n"
        "    assert not changes, (module.name, changes)\n"
        "print(count)"
    )
    assert int(run_python(program)) > 80


@pytest.mark.parametrize("chosen", [{}, {"ORT_DISABLE_TELEMETRY": "0"}])
def test_onnx_runtime_is_imported_with_its_telemetry_off(chosen: dict[str, str]) -> None:
    """A value that the user has set stays."""
    program = (
        "import os, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'onnxruntime': print(os.environ.get('ORT_DISABLE_TELEMETRY'))\n"
        "sys.meta_path.insert(0, Watch())\n"
        "import mnist_cnn.reading.onnx_runtime"
    )
    assert run_python(program, **chosen).strip() == chosen.get("ORT_DISABLE_TELEMETRY", "1")


@pytest.mark.parametrize("module", ["mnist_cnn", "mnist_cnn.datasets", "mnist_cnn.reading.recognizer"])
def test_every_public_name_exists(module: str) -> None:
    package = importlib.import_module(module)
    assert all(getattr(package, name) is not None for name in package.__all__)


def test_no_two_modules_share_a_name() -> None:
    """Packages may: the command `cli/export.py` and the room `export/`."""
    assert repeated(path.stem for path in PACKAGE.rglob("*.py") if not path.stem.startswith("__")) == []


def test_no_two_classes_share_a_name() -> None:
    assert repeated(node.name for _, node in nodes(PACKAGE) if isinstance(node, ast.ClassDef)) == []


def test_no_private_module_or_name_of_another_package_is_imported() -> None:
    """Ruff's SLF rules refuse private attributes; this refuses private imports, for which Ruff has no stable rule."""
    ours = {"mnist_cnn", *(path.stem for path in (ROOT / "tests").iterdir())}
    folders = [ROOT / name for name in ("src", "tests", "benchmarks", "scripts")]
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for folder in folders
        for path, node in nodes(folder)
        for line, name in imported_names(node)
        if name.partition(".")[0] not in ours and any(is_private(part) for part in name.split("."))
    ]
    assert found == []


def imported_names(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line of an import statement and what it names, with dots."""
    if isinstance(node, ast.Import):
        yield from ((node.lineno, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def nodes(folder: Path) -> Iterator[tuple[Path, ast.AST]]:
    """Yield all nodes of the syntax trees of the modules below a folder."""
    for path in sorted(folder.rglob("*.py")):
        yield from ((path, node) for node in ast.walk(ast.parse(path.read_text("utf-8"))))


def repeated(names: Iterator[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
