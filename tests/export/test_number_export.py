"""The exported network for whole numbers, and the page beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from mnist_cnn.errors import SettingError
from mnist_cnn.export.number_export import export_numbers
from mnist_cnn.reading.numbers.number_reader import SHIPPED_WEIGHTS

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "numbers" / "meter.jpg"


def test_every_example_beside_the_file_reads_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = export_numbers(tmp_path)
    assert model.read_bytes() == SHIPPED_WEIGHTS.read_bytes()
    monkeypatch.chdir(tmp_path)
    Image.open(PICTURE).save("number.png")
    with_package, alone = re.findall(r"```python\n(.*?)```", Path("README.md").read_text("utf-8"), re.DOTALL)
    for program in (with_package, alone):
        exec(program, {})  # noqa: S102
        assert capsys.readouterr().out.split()[0] == "004718"
    assert "mnist_cnn" not in alone


def test_the_page_describes_the_file(tmp_path: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(export_numbers(tmp_path))
    page = (tmp_path / "README.md").read_text("utf-8")
    for key, value in session.get_modelmeta().custom_metadata_map.items():
        assert f"| `{key}` | `{value}` |" in page
    for each in (*session.get_inputs(), *session.get_outputs()):
        assert f"`{each.name}`: float32 [n, " in page


def test_only_an_earlier_export_is_replaced(tmp_path: Path) -> None:
    export_numbers(tmp_path)
    export_numbers(tmp_path)
    for name in ("numbers.onnx", "README.md"):
        before = (tmp_path / name).read_bytes()
        (tmp_path / name).write_text("something else", "utf-8")
        with pytest.raises(SettingError, match=f"{name} already exists and was not exported by mnist-cnn"):
            export_numbers(tmp_path)
        assert (tmp_path / name).read_text("utf-8") == "something else"
        (tmp_path / name).write_bytes(before)
    with pytest.raises(SettingError, match="was not exported"):
        export_numbers(SHIPPED_WEIGHTS.parent)
