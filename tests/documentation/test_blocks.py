from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import SkipTest

import pytest
from sybil import Document
from sybil.example import SybilFailure
from sybil.parsers.markdown import SkipParser

from documentation.blocks import find_file_name, is_like, parse_blocks
from documentation.page import ROOT, Page

Read = Callable[[str], None]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pages are written for bash")


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    page = Page(ROOT / "docs" / "page.md", tmp_path)
    yield page
    page.close()


@pytest.fixture
def read(page: Page) -> Read:
    """Executes a page with this text."""

    def read(text: str) -> None:
        document = parse(text)
        document.namespace["page"] = page
        for example in document.examples():
            example.evaluate()

    return read


def parse(text: str) -> Document:
    document = Document(text, "page.md")
    for parser in (parse_blocks, SkipParser()):
        for region in parser(document):
            document.add(region)
    return document


@pytest.mark.parametrize(
    "text",
    [
        "```sh\ntrue\n```",
        "```sh\nfalse || true\nmkdir new && cd new\n```\n\n```sh\nls new\n```",
        "```console\n$ echo one   two\none two\n$ echo 1.25 s\n… s\n$ true\n```",
        "```console\n$ printf '%s\\n' a \\\n    b c\na\n…\nc\n```",
        "```python\nx = 1\n```\n\n```python\nprint(x)\n```",
        '```toml\n[training]\nepochs = 3\n```\n\n```toml\napp = "digits"\n```',
        "```yaml\na: 1\n---\nb: 2\n```\n\n```json\n{}\n```\n\n```ini\n[A]\nb = 1\nb = 2\n```",
        "Save this as `mine.py`:\n\n```python\nvalue = 3\n```\n\n```python\nimport mine\nmine.value\n```",
        "`some/where.txt`:\n\n```text\nwords\n```\n\n```sh\ngrep words some/where.txt\n```",
        "```text\nanything\n```\n\n```{toctree}\nwhatever\n```",
        "- in a list\n\n  ```sh\n  true\n  ```",
        "```sh\npython3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[train]'\n```",
        "```sh\npython benchmarks/ink.py --data DIR\npython -m pytest -n 2 tests/test_config.py\n```",
    ],
)
def test_accepts_pages_that_keep_their_word(read: Read, text: str) -> None:
    read(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```\nls\n```", "no language"),
        ("```shell\nls\n```", "'shell' is not known"),
        ("```sh\nfalse\n```", "Exit code 1"),
        ("```sh\nfalse | true\n```", "Exit code 1"),
        ("```console\nls\n```", "begins with"),
        ("```console\n$ echo 1\n2\n```", "in truth\n1"),
        ("```console\n$ false\n```", "exit code 1"),
        ("```python\n\nx = unknown\n```", 'page.md", line 3'),
        ('```toml\n[training]\nepochs = "many"\n```', "epochs"),
        ("```toml\n[training\n```", ""),
        ("```json\n{\n```", ""),
        ("```yaml\n{\n```", ""),
        ("````{note}\n```sh\nls\n```\n````", "inside a directive"),
        ("```{note}\n~~~sh\nls\n~~~\n```", "inside a directive"),
        ("```sh\npip install '.[trane]'\n```", "no extra 'trane'"),
        ("```sh\npip install -r gone.txt\n```", "no file gone.txt"),
        ("```sh\npython benchmarks/ink.py --data DIR --dato DIR\n```", "--dato"),
        ("```sh\npython -m pytest --twice\n```", "--twice"),
        ("```sh\npytest tests/gone.py\n```", "gone.py"),
    ],
)
def test_rejects_pages_that_lie(read: Read, text: str, message: str) -> None:
    with pytest.raises(Exception, match=message or "."):
        read(text)


def test_a_failed_block_is_reported_with_its_place(read: Read) -> None:
    with pytest.raises(SybilFailure, match="line 3"):
        read("Words.\n\n```sh\nfalse\n```")


def test_skips_with_a_reason(read: Read) -> None:
    with pytest.raises(SkipTest, match="needs Docker"):
        read('<!-- skip: next "needs Docker" -->\n\n```sh\ndocker run it\n```')


def test_a_page_has_its_own_home_and_no_network(page: Page) -> None:
    code, output = page.run_shell("echo $HOME ${MNIST_CNN_DATA:-none} $https_proxy; pwd")

    assert code == 0
    assert output.split() == [str(page.home), "none", "http://127.0.0.1:9", str(page.clone)]


def test_a_block_that_takes_too_long_leaves_no_process(page: Page) -> None:
    page.patience = 0.3

    with pytest.raises(subprocess.TimeoutExpired):
        page.run_shell(f"(sleep 1; touch {page.state}/survived) & wait")
    time.sleep(1)
    assert not (page.state / "survived").exists()


@pytest.mark.slow
def test_a_server_runs_in_the_background_until_the_page_ends(page: Page) -> None:
    sent = "curl -s -H 'Content-Type: image/png' --data-binary @tests/server/seven.png http://127.0.0.1:8000/predict"

    assert page.run_shell("mnist-cnn serve --open")[0] == 0
    assert page.run_shell("mnist-cnn serve")[0] == 0  # the reader stopped the first one
    assert '"label":"7"' in page.run_shell(sent)[1]
    page.close()
    assert page.run_shell(sent)[0] != 0


@pytest.mark.parametrize(
    ("paragraph", "name"),
    [
        ("Save this as `a.toml`.", "a.toml"),
        ("Then write\n`a/b.py`:", "a/b.py"),
        ("Run it:", None),
        ("`/etc/fstab`:", None),
        ("`a.toml` is a file", None),
    ],
)
def test_finds_the_file_that_a_block_is_saved_as(paragraph: str, name: str | None) -> None:
    document = parse(f"Earlier.\n\n{paragraph}\n\n```text\nx\n```")

    assert find_file_name(next(iter(document.examples()))) == name


def test_compares_output() -> None:
    assert is_like("a  b \n", "a b")
    assert is_like("one\ntwo\nthree\n", "one\n…\nthree")
    assert not is_like("one\ntwo", "one")
