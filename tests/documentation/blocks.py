"""The code blocks of README.md, CONTRIBUTING.md and docs/, executed in the order of the page.

What each language means:

- `sh`: bash runs it.
- `console`: lines after `$` are commands, the others are their output, in which `…` stands for anything.
- `python`: runs in one namespace per page.
- `toml`, `json`, `yaml`, `ini`, `html`: parsed; a recipe and a search space are loaded by the package.
- `diff`: `git apply` changes the page's copy of the repository.
- `js`, `nginx`: checked by node and nginx, if they are installed.
- `text`: not code.

A block becomes a file if the paragraph before it says "Save … as `FILE`" or ends with "`FILE`:".
"""

from __future__ import annotations

import configparser
import html.parser
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable
from pathlib import Path
from unittest import SkipTest

import yaml
from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown import SkipParser
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

from documentation.page import ROOT, BlockError, Page

_SAVED = re.compile(r"[Ss]ave\b[^`]*\bas `([^`]+)`|`([^`\s]+)`:$")
_RECIPE, _SPACE = {"model", "augmentation", "optimizer", "training"}, {"settings", "conditional"}
_DIRECTIVE = re.compile(r"\{[\w:-]+\}(?<!\{code\})(?<!\{code-block\})(?<!\{code-cell\})")


def parse_blocks(document: Document) -> Iterable[Region]:
    """Find every fenced block, whatever its language, except those inside others."""
    end = 0
    for region in sorted(FencedCodeBlockLexer(language="[^\n]*")(document), key=lambda found: found.start):
        if region.start < end:
            continue
        end = region.end
        region.parsed, region.evaluator = region.lexemes["source"], evaluate
        yield region


def evaluate(example: Example) -> str | None:
    """Do with a block what its language says; return what is wrong with it, which Sybil reports."""
    try:
        evaluate_as(example.region.lexemes["language"].strip(), example)
    except BlockError as error:
        return str(error)
    return None


def evaluate_as(language: str, example: Example) -> None:
    """Do with a block what this language says.

    Raises:
        BlockError: It does not do what the page says.
    """
    source, page = str(example.parsed), example.namespace["page"]
    if _DIRECTIVE.match(language):
        check_directive(source)
    elif language not in CHECKS:
        problem = f"The language {language!r} is not known" if language else "This block has no language"
        raise BlockError(f"{problem}. Write ```text if it is not code; otherwise one of {', '.join(CHECKS)}.")
    elif name := find_file_name(example):
        if language == "python":
            compile(source, name, "exec")
        elif language not in ("sh", "console"):
            CHECKS[language](source, page, 0)
        save(page.folder / name, source)
    else:
        CHECKS[language](source, page, example.line + 1)


def check_directive(source: str) -> None:
    """Sphinx reads directives, but code blocks inside them would not be found here."""
    if re.search("^ *(```|~~~)", source, re.MULTILINE):
        raise BlockError("Code inside a directive is not executed. Write the directive with ::: instead of ```.")


def find_file_name(example: Example) -> str | None:
    """Find the file that a block is to be saved as, in the paragraph before it."""
    paragraph = example.document.text[: example.region.start].rstrip().rpartition("\n\n")[2]
    if not (found := _SAVED.search(" ".join(paragraph.split()))):
        return None
    name = found[1] or found[2]
    return None if name.startswith(("/", "~")) else name


def save(path: Path, source: str) -> None:
    """Write a block to its file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, "utf-8")


def run_shell(source: str, page: Page, line: int) -> None:
    """Run commands, which must succeed."""
    code, output = page.run_shell(source)
    if code:
        raise BlockError(f"Exit code {code}:\n{output}")


def run_console(source: str, page: Page, line: int) -> None:
    """Run each command and compare its output with the one on the page; without one, it must succeed."""
    lines = source.splitlines()
    starts = [number for number, text in enumerate(lines) if text.startswith("$ ")]
    if starts[:1] != [0]:
        raise BlockError("A console block begins with `$ ` and a command.")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        first = next(number for number in range(start, end) if not lines[number].endswith("\\"))
        command = "\n".join(lines[start : first + 1])[2:]
        expected = page.adapt("\n".join(lines[first + 1 : end]))
        code, output = page.run_shell(command)
        if not (is_like(output, expected) if expected.strip() else code == 0):
            raise BlockError(f"$ {command}\nexit code {code}\n--- on the page\n{expected}\n--- in truth\n{output}")


def is_like(output: str, expected: str) -> bool:
    """Compare two outputs, in which `…` stands for anything and spaces are alike."""
    pattern = ".*?".join(re.escape(normalise(part)) for part in expected.strip().split("…"))
    return re.fullmatch(pattern, normalise(output.strip()), re.DOTALL) is not None


def normalise(text: str) -> str:
    """Make one space of several, and drop those at the end of lines."""
    return re.sub(r" *\n *", "\n", re.sub(r"[ \t]+", " ", text))


def run_python(source: str, page: Page, line: int) -> None:
    """Run Python code."""
    page.run_python(source, line)


def apply_diff(source: str, page: Page, line: int) -> None:
    """Change files as a patch says."""
    change = page.state / "change.diff"
    change.write_text(source, "utf-8")
    code, output = page.run_shell(f"GIT_CEILING_DIRECTORIES={page.place} git apply {change}")
    if code:
        raise BlockError(f"The change cannot be applied:\n{output}")


def parse_toml(source: str, page: Page, line: int) -> None:
    """Parse TOML; load it if it is a recipe or a search space."""
    from mnist_cnn.config import parse_config
    from mnist_cnn.tuning.declaration import parse_space

    values = tomllib.loads(source)
    if values.keys() & _SPACE:
        parse_space(values, "the page")
    elif values.keys() & _RECIPE:
        parse_config(values, "the page")


def parse_json(source: str, page: Page, line: int) -> None:
    """Parse JSON."""
    json.loads(source)


def parse_yaml(source: str, page: Page, line: int) -> None:
    """Parse one or several YAML documents."""
    list(yaml.safe_load_all(source))


def parse_ini(source: str, page: Page, line: int) -> None:
    """Parse an INI file; a systemd unit is also verified, if systemd is installed."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(source)
    if not (parser.has_section("Unit") and shutil.which("systemd-analyze")):
        return
    unit = page.state / "page.service"
    command = re.sub(r"(?<=^ExecStart=)\S+", "/bin/true", source, flags=re.MULTILINE)
    unit.write_text(command, "utf-8")
    check_with("systemd-analyze", "verify", "--man=no", str(unit))


def parse_html(source: str, page: Page, line: int) -> None:
    """Parse HTML, which accepts nearly everything."""
    html.parser.HTMLParser().feed(source)


def check_javascript(source: str, page: Page, line: int) -> None:
    """Check JavaScript's syntax, as of a module."""
    script = page.state / "block.mjs"
    script.write_text(source, "utf-8")
    check_with("node", "--check", str(script))


def check_nginx(source: str, page: Page, line: int) -> None:
    """Let nginx test a part of its configuration."""
    certificate, key = make_certificate(page.state)
    source = re.sub(r"(ssl_certificate\s+)[^;]+", rf"\g<1>{certificate}", source)
    source = re.sub(r"(ssl_certificate_key\s+)[^;]+", rf"\g<1>{key}", source)
    source = source.replace("listen 443 ", f"listen {page.port} ")  # not only for root
    folders = " ".join(f"{kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    whole = page.state / "nginx.conf"
    whole.write_text(f"pid nginx.pid; events {{}} http {{ access_log off; {folders} {source} }}", "utf-8")
    check_with("nginx", "-t", "-q", "-c", str(whole), "-e", "stderr", "-p", str(page.state))


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate that nobody trusts, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    words = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1")
    check_with("openssl", *words, "-keyout", str(key), "-out", str(certificate))
    return certificate, key


def check_with(program: str, *words: str) -> None:
    """Run a checker.

    Raises:
        SkipTest: It is not installed.
    """
    if not (path := shutil.which(program)):
        raise SkipTest(f"NOT CHECKED: {program} is not installed")
    finished = subprocess.run([path, *words], capture_output=True, text=True, timeout=60)
    if finished.returncode:
        raise BlockError(finished.stdout + finished.stderr)


def accept(source: str, page: Page, line: int) -> None:
    """Text may say anything."""


CHECKS = {
    "sh": run_shell,
    "console": run_console,
    "python": run_python,
    "diff": apply_diff,
    "toml": parse_toml,
    "json": parse_json,
    "yaml": parse_yaml,
    "ini": parse_ini,
    "html": parse_html,
    "js": check_javascript,
    "nginx": check_nginx,
    "text": accept,
}
PAGES = Sybil(
    parsers=[parse_blocks, SkipParser()],
    path=str(ROOT),
    patterns=["docs/*.md", "docs/*/*.md"],
    filenames=["README.md", "CONTRIBUTING.md"],
    excludes=["tests/*", "src/*", "shared/*"],
    fixtures=["page"],
)
