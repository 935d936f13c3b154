"""The documentation site: its generated parts are complete, and its build refuses what is broken."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

import mnist_cnn
from mnist_cnn.cli.app import application
from mnist_cnn.config import setting_names
from mnist_cnn.server.settings import Settings
from site_parts import command_line, http_api, run_folder, settings
from site_parts.markdown import sentence, table

DOCS = Path(__file__).parents[2] / "docs"


def test_every_public_name_is_documented() -> None:
    page = (DOCS / "reference" / "python.md").read_text("utf-8")
    documented = set(re.findall(r"^\.\. auto(?:class|function|exception):: (\w+)", page, re.MULTILINE))
    assert set(mnist_cnn.__all__) <= documented


def test_every_setting_has_a_meaning() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \|.*\| (.*) \|$", settings.describe_training(), re.MULTILINE)
    assert set(setting_names()) == {name for name, _ in rows}
    assert [name for name, meaning in rows if len(meaning) < 10] == []


def test_every_setting_of_the_server_has_a_meaning() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.+) \|$", settings.describe_server(), re.MULTILINE)
    assert {name.lower() for name, _ in rows} == set(Settings.model_fields)


def test_every_command_has_a_heading_and_an_example() -> None:
    text = command_line.describe()
    for verb in application.list_commands(click.Context(application)):
        assert f"## {verb}\n" in text
        assert f"```sh\nmnist-cnn {verb}" in text


def test_every_file_of_a_run_has_a_meaning() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| `\w+` \| (.+) \|$", run_folder.describe(), re.MULTILINE)
    assert {"config.toml", "model.keras", "report.html"} <= {name for name, _ in rows}


def test_objects_of_the_api_that_are_linked_exist() -> None:
    text = http_api.describe()
    linked = set(re.findall(r"\]\(#(\w+)\)", text))
    assert "prediction" in linked
    assert linked <= {heading.lower() for heading in re.findall(r"^### (\w+)$", text, re.MULTILINE)}


def test_tables_escape_bars_and_comments_become_sentences() -> None:
    assert table(["a"], [["x|y"]]) == "| a |\n| --- |\n| x\\|y |"
    assert sentence(["angle,", "degrees", ""]) == "Angle, degrees."
    assert sentence([]) == ""


@pytest.mark.slow
def test_the_build_fails_on_broken_references(tmp_path: Path) -> None:
    broken = [
        "[a](page1.md)", "[a](#heading2)", "[a](page.md#heading3)", "[a](../code4.py)", "[a](../text5.md)",
        "![a](picture6.png)", "{py:func}`mnist_cnn.function7`",
    ]  # fmt: skip
    code, output = build(tmp_path, "\n\n".join(broken))
    assert code == 1
    complaints = [line for line in output.splitlines() if "WARNING" in line]
    found = [name for name in re.findall(r"\w+\d", " ".join(broken)) if any(name in line for line in complaints)]
    assert len(found) == len(broken)


@pytest.mark.slow
def test_files_outside_of_the_pages_become_downloads(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("# Card\n", "utf-8")
    (tmp_path / "space.toml").write_text("", "utf-8")
    code, output = build(tmp_path, "[a](../card.md) [b](../space.toml)")
    assert (code, output) == (0, "")
    assert len(list(tmp_path.glob("site/_downloads/*/*"))) == 2


@pytest.mark.slow
def test_the_tour_is_a_page_that_asks_no_other_host_and_whose_contents_lead_to_its_sections(tmp_path: Path) -> None:
    assert build(tmp_path, "") == (0, "")
    page = (tmp_path / "site/tutorials/tour.html").read_text("utf-8")
    links = re.findall(r'<li><p><a class="reference internal" href="#([\w-]+)">', page)
    assert len(links) == 19
    assert set(links) <= set(re.findall(r'<section id="([\w-]+)"', page)) | set(
        re.findall(r'<span id="([\w-]+)"', page)
    )
    assert re.findall(r'src="https?:', page) == []
    assert page.count("<table") >= 8


def build(folder: Path, line: str) -> tuple[int, str]:
    """Build a site of two pages with the project's own settings; return the exit code and what it complained about."""
    source = folder / "docs"
    source.mkdir()
    for name in ("_extensions", "_static"):
        shutil.copytree(DOCS / name, source / name)
    shutil.copy(DOCS / "conf.py", source)
    (source / "tutorials").mkdir()
    shutil.copytree(DOCS.parent / "notebooks", folder / "notebooks")
    (source / "index.md").write_text(f"# Index\n\n{line}\n\n```{{toctree}}\npage\ntutorials/tour\n```\n", "utf-8")
    (source / "page.md").write_text("# Page\n", "utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-b", "html", "docs", "site"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr
