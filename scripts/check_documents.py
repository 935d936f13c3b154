"""Check what README.md and docs/ say against the program, its recipes and the recorded results.

- README.md has at most 900 words outside of code, and its first two `sh` blocks are the two that `.ci/run` knows.
- A table between `<!-- table: NAME -->` and `<!-- end of table -->` is the one made from the command line or from
  `benchmarks/results/`.
- Every `mnist-cnn` command, in code blocks and in the text, has a verb and options that exist.
- The recipes' files state the accuracy and the time that were recorded.
- README.md names the Python versions and the licence of pyproject.toml.

    python scripts/check_documents.py [--write]

With --write, tables and recipes are corrected; everything else needs a person.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from mnist_cnn.cli.app import application  # noqa: E402
from mnist_cnn.files import write_text  # noqa: E402
from tables import TABLES, summarise_recipes, table  # noqa: E402

WORDS = 900
FIRST_BLOCKS = (
    "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[train]' && .venv/bin/mnist-cnn train\n",
    "python3 -m venv .venv-test && .venv-test/bin/pip install -c constraints.txt -e '.[all,dev]' && "
    ".venv-test/bin/python -m pytest -n 2 --dist loadfile\n",
)
README_TABLES = ("recipes", "comparison")
_BLOCK = re.compile(r"^( *)(`{3,})([\w-]*)\n(.*?)^ *\2$", re.DOTALL | re.MULTILINE)
_TABLE = re.compile(r"<!-- table: ([^>]+?) -->\n(.*?)<!-- end of table -->", re.DOTALL)
_COMMAND = re.compile(r"(?<![\w/.-])mnist-cnn((?: +(?:'[^']*'|\"[^\"]*\"|[^\s'\"`|&;)#]+))*)")
_PYTHON = re.compile(r"Python (?:≥ )?(3\.\d+)")


@dataclass
class Place:
    """The repository to check, and whether to correct it.

    Attributes:
        root: Its folder.
        is_writable: Whether tables and recipes may be corrected.
    """

    root: Path = ROOT
    is_writable: bool = False

    @property
    def results(self) -> Path:
        """The folder of recorded results."""
        return self.root / "benchmarks" / "results"

    @property
    def pages(self) -> list[Path]:
        """Every page whose words are checked."""
        names = [self.root / name for name in ("README.md", "CONTRIBUTING.md")]
        return [path for path in (*names, *sorted((self.root / "docs").rglob("*.md"))) if path.exists()]

    def read(self, name: str) -> str:
        """Read a file of the repository."""
        return (self.root / name).read_text("utf-8")


def main() -> None:
    """Print every problem; exit with 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="correct tables and recipes")
    problems = list(check(Place(is_writable=parser.parse_args().write)))
    print("\n".join(problems) or "README.md and docs/ agree with the program and with the recorded results.")
    sys.exit(bool(problems))


def check(place: Place) -> Iterator[str]:
    """Yield every problem, in words."""
    for check_one in (check_length, check_first_blocks, check_project, check_tables, check_commands, check_recipes):
        yield from check_one(place)


def check_length(place: Place) -> Iterator[str]:
    """Count the README's words, tables included, without code blocks and comments."""
    text = re.sub(r"<!--.*?-->", "", _BLOCK.sub("", place.read("README.md")), flags=re.DOTALL)
    words = sum(any(letter.isalnum() for letter in word) for word in text.split())
    if words > WORDS:
        yield f"README.md has {words} words outside of code; at most {WORDS} are allowed."


def check_first_blocks(place: Place) -> Iterator[str]:
    """Compare the README's first two `sh` blocks with the commands that others rely on."""
    blocks = [block[4] for block in _BLOCK.finditer(place.read("README.md")) if block[3] == "sh"]
    for number, (expected, found) in enumerate(zip(FIRST_BLOCKS, [*blocks, "", ""], strict=False), start=1):
        if found != expected:
            yield f"README.md: `sh` block {number} must be:\n{expected}It is:\n{found}"


def check_project(place: Place) -> Iterator[str]:
    """Compare the Python versions and the licence with those of pyproject.toml."""
    readme, project = place.read("README.md"), tomllib.loads(place.read("pyproject.toml"))["project"]
    oldest = project["requires-python"].removeprefix(">=")
    supported = {name.rpartition(" ")[2] for name in project["classifiers"] if " :: Python :: 3." in name}
    if (named := _PYTHON.findall(readme))[:1] != [oldest]:
        yield f"README.md must name Python {oldest}, the oldest supported version, first; it names {named or 'none'}."
    if unknown := sorted(set(named) - supported - {oldest}):
        yield f"README.md names Python {', '.join(unknown)}, which pyproject.toml does not classify as supported."
    if not re.search(rf"\b{project['license']}\b", readme):
        yield f"README.md must name the licence, {project['license']}."


def check_tables(place: Place) -> Iterator[str]:
    """Compare every marked table with the one it should be; write that if allowed."""
    for path in place.pages:
        text = path.read_text("utf-8")
        name = str(path.relative_to(place.root))
        found = {match[1]: match for match in _TABLE.finditer(text)}
        if name == "README.md":
            yield from (missing_table(place, each) for each in README_TABLES if each not in found)
        for title, match in found.items():
            if title != "commands" and title not in TABLES:
                yield f"{name}: unknown table {title!r}. Valid names: {', '.join(('commands', *TABLES))}."
            elif match[2].strip() != (right := make_table(place, title)):
                text = text.replace(match[0], frame(title, right))
                if not place.is_writable:
                    yield f"{name}: the table {title!r} must be (`python scripts/check_documents.py --write`):\n{right}"
        if place.is_writable and text != path.read_text("utf-8"):
            write_text(path, text)


def missing_table(place: Place, title: str) -> str:
    """Say that the README lacks a table."""
    return f"README.md lacks this table:\n{frame(title, make_table(place, title))}"


def frame(title: str, content: str) -> str:
    """Put a table between its two comments."""
    return f"<!-- table: {title} -->\n\n{content}\n\n<!-- end of table -->"


def make_table(place: Place, title: str) -> str:
    """Make a table from the command line or from the records."""
    return command_table() if title == "commands" else TABLES[title](place.results)


def command_table() -> str:
    """List the verbs in the order of the help, with their arguments and short help."""
    rows = []
    for name, command in verbs().items():
        arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
        words = " ".join(
            f"{each.human_readable_name.upper()}{'…' if each.nargs == -1 else ''}"
            for each in arguments
            if each.required
        )
        help_text = command.get_short_help_str(200).rstrip(".")
        rows.append([f"`{' '.join(f'mnist-cnn {name} {words}'.split())}`", help_text[0].lower() + help_text[1:]])
    return table(("command", "what it does"), "l-l", rows)


def verbs() -> dict[str, click.Command]:
    """Give the commands of the command line by name, in the order of the help."""
    context = click.Context(application, info_name="mnist-cnn")
    found = {name: application.get_command(context, name) for name in application.list_commands(context)}
    return {name: command for name, command in found.items() if command}


def check_commands(place: Place) -> Iterator[str]:
    """Look up the verb and the options of every command."""
    known = {name: option_names(command) for name, command in verbs().items()}
    everywhere = option_names(application)
    for path in place.pages:
        for line, words in find_commands(path.read_text("utf-8")):
            where = f"{path.relative_to(place.root)}:{line}: mnist-cnn {' '.join(words)}"
            options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            if words[0] not in known:
                yield f"{where}: unknown command {words[0]!r}. Valid names: {', '.join(known)}."
            elif unknown := sorted(options - everywhere - known[words[0]]):
                yield f"{where}: unknown option {', '.join(unknown)}."


def option_names(command: click.Command) -> set[str]:
    """Give the names of a command's options."""
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return options | {"-h", "--help"}


def find_commands(text: str) -> Iterator[tuple[int, list[str]]]:
    """Find the commands in code blocks that a shell runs and in inline code, with their lines.

    Yields:
        The line, and the words after `mnist-cnn`.
    """
    code = [(block.start(4), block[4]) for block in _BLOCK.finditer(text) if block[3] in ("sh", "console", "text", "")]
    prose = _BLOCK.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), text)
    code += [(match.start(1), match[1]) for match in re.finditer(r"`([^`]+)`", prose)]
    for start, source in code:
        for match in _COMMAND.finditer(re.sub(r"\\\n", "  ", source)):
            words = match[1].split()
            if is_command(words):
                yield text.count("\n", 0, start + match.start()) + 1, words


def is_command(words: list[str]) -> bool:
    """Whether words after `mnist-cnn` are an invocation, not a sentence, a file or a placeholder."""
    return bool(words) and re.fullmatch(r"[a-z][\w-]*", words[0]) is not None


def check_recipes(place: Place) -> Iterator[str]:
    """Compare what the recipes' files expect with what was recorded; write that if allowed."""
    for recipe in summarise_recipes(place.results):
        path = place.root / "src" / "mnist_cnn" / "recipes" / f"{recipe.name}.toml"
        text = before = path.read_text("utf-8")
        for line in (
            f"parameters = {recipe.row['parameters']}",
            f'expected_accuracy = "{recipe.expected_accuracy}"',
            f'expected_time = "{recipe.expected_time}"',
        ):
            if line not in text.splitlines():
                text = re.sub(rf"^{line.partition(' ')[0]} = .*$", line, text, flags=re.MULTILINE)
                if not place.is_writable:
                    yield f"{path.relative_to(place.root)}: the recorded line is: {line}"
        if place.is_writable and text != before:
            write_text(path, text)


if __name__ == "__main__":
    main()
