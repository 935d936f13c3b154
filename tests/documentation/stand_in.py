"""Stands for commands of a page that would take too long, never end or need a network.

`mnist-cnn train`, `distill`, `ensemble` and `tune` are shortened, and `serve` goes to the background. `pip`, `pytest`
and the project's scripts only check what they are asked for. Everything else runs as it is.

    python stand_in.py COMMAND WORDS…
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

SHORTER = {  # options that win, because they come last
    "train": ("--epochs", "1"),
    "distill": ("--epochs", "1"),
    "ensemble": ("--epochs", "1"),
    "tune": ("--trials", "2", "--epochs", "1", "--workers", "1"),
}
NO_TESTS = 5  # pytest's exit code if that one file has no tests of a kind
SECONDS = 30  # for a server to start
_PARSE_ONLY = """
import argparse, runpy, sys
parse = argparse.ArgumentParser.parse_args
argparse.ArgumentParser.parse_args = lambda *words: sys.exit(0 if parse(*words) else 0)
sys.argv = sys.argv[1:]
sys.path[0] = sys.argv[0].rpartition("/")[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def main() -> None:
    """Do what the command stands for and leave with its exit code."""
    command, *words = sys.argv[1:]
    sys.exit(COMMANDS[command](words))


def mnist_cnn(words: list[str]) -> int:
    """Run this package's command, shortened."""
    words = [word for word in words if word != "--open"]
    verb = next((word for word in words if not word.startswith("-")), "")
    if {"-h", "--help"} & set(words):
        return run("-m", "mnist_cnn", *words)
    if verb == "serve":
        return serve(words)
    is_average = verb == "ensemble" and "--recipe" not in words
    if "--resume" not in words and not is_average:
        words += SHORTER.get(verb, ())
    if "--confirm" in words:
        words += ("--confirm", "1")
    return run("-m", "mnist_cnn", *words)


def serve(words: list[str]) -> int:
    """Start a server in the background, instead of the page's earlier one, and wait until it listens."""
    state = Path(os.environ["PAGE_STATE"])
    stop_server(state / "server.pid")
    if "--port" not in words:
        words = [*words, "--port", os.environ["PAGE_PORT"]]
    with (state / "server.log").open("w", encoding="utf-8") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mnist_cnn", *words], stdout=log, stderr=log, start_new_session=True
        )
    (state / "server.pid").write_text(str(server.pid), "utf-8")
    deadline = time.monotonic() + SECONDS
    while "http://" not in (said := (state / "server.log").read_text("utf-8")):
        if server.poll() is not None or time.monotonic() > deadline:
            print(said)
            return server.poll() or 1
        time.sleep(0.05)
    print(said, end="")
    return 0


def stop_server(path: Path) -> None:
    """Stop the server whose process number a file contains."""
    if not path.exists():
        return
    process = int(path.read_text("utf-8"))
    path.unlink()
    os.kill(process, signal.SIGTERM)
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.killpg(process, signal.SIGKILL)


def pip(words: list[str]) -> int:
    """Check that the files and the extras exist which an installation names."""
    problems = []
    for place, word in enumerate(words):
        path, _, extras = word.rstrip("]").partition("[")
        if place and words[place - 1] in ("-c", "-r") and not Path(word).exists():
            problems.append(f"there is no file {word}")
        if path.startswith(".") and not Path(path, "pyproject.toml").exists():
            problems.append(f"{path} cannot be installed: pyproject.toml is missing")
        elif path.startswith(".") or path == "mnist-cnn":
            problems += [f"there is no extra {name!r}" for name in extras.split(",") if name and not is_extra(name)]
    print("\n".join(f"pip: {problem}" for problem in problems))
    return 1 if problems else 0


def is_extra(name: str) -> bool:
    """Whether the package has this extra."""
    project = Path(__file__).parents[2] / "pyproject.toml"
    return name.strip() in tomllib.loads(project.read_text("utf-8"))["project"]["optional-dependencies"]


def pytest(words: list[str]) -> int:
    """Collect the tests that are asked for, or one file instead of all."""
    files = [word.partition("::")[0] for word in words if re.match(r"[\w./-]+\.py\b", word)]
    if missing := [name for name in files if not Path(name).exists()]:
        print(f"pytest: there is no file {missing[0]}")
        return 4
    code = run("-m", "pytest", *words, "--collect-only", "-q", "-o", "testpaths=tests/test_files.py")
    return 0 if code == NO_TESTS else code


def python(words: list[str]) -> int:
    """Run Python; for a script of this project, only parse its options."""
    if words[:2] == ["-m", "venv"]:
        return make_environment(Path(words[-1], "bin"))
    if words[:1] == ["-m"] and words[1] in COMMANDS:
        return COMMANDS[words[1]](words[2:])
    if words and words[0].startswith(("benchmarks/", "scripts/")):
        is_parsed = "argparse" in Path(words[0]).read_text("utf-8")
        return run("-c", _PARSE_ONLY, *words) if is_parsed else 0
    return run(*words)


def make_environment(folder: Path) -> int:
    """Make a virtual environment's folder of commands, from this interpreter's and the stand-ins."""
    folder.mkdir(parents=True)
    stand_ins = Path(os.environ["PAGE_STATE"]).parent / "bin"
    for source in (*stand_ins.iterdir(), *Path(sys.prefix, "bin").iterdir()):
        if not (folder / source.name).exists():
            (folder / source.name).symlink_to(source)
    (folder / "activate").unlink(missing_ok=True)
    (folder / "activate").write_text(f'export PATH="{folder.resolve()}:$PATH"\n', "utf-8")
    return 0


def run(*words: str) -> int:
    """Run the interpreter itself."""
    return subprocess.run([sys.executable, *words]).returncode


COMMANDS = {
    "mnist-cnn": mnist_cnn,
    "mnist_cnn": mnist_cnn,
    "pip": pip,
    "pip3": pip,
    "pytest": pytest,
    "python": python,
    "python3": python,
}

if __name__ == "__main__":
    main()
