"""Run a notebook from top to bottom and store it with its outputs, ready to be committed.

    MNIST_CNN_DATA=... python scripts/run_notebook.py [notebooks/tour.ipynb]

What the notebook writes goes to a temporary folder. Pictures are stored with at most 256 colours, and metadata that
change from run to run are removed.
"""

from __future__ import annotations

import argparse
import base64
import io
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

from mnist_cnn.files import write_text

TOUR = Path(__file__).parents[1] / "notebooks" / "tour.ipynb"
SECONDS_PER_CELL = 600
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
PNG = "image/png"


def main() -> None:
    """Run the notebook in place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook", type=Path, nargs="?", default=TOUR)
    path: Path = parser.parse_args().notebook
    notebook = nbformat.read(path, as_version=4)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=SECONDS_PER_CELL, record_timing=False, coalesce_streams=True)
        client.execute(cwd=folder)
    seconds = time.perf_counter() - began
    normalise(notebook)
    nbformat.validate(notebook)
    write_text(path, nbformat.writes(notebook) + "\n")
    print(f"{path}: {seconds:.0f} s, {path.stat().st_size / 1000:.0f} kB")


def normalise(notebook: nbformat.NotebookNode) -> None:
    """Remove what differs between two runs with the same results, and reduce pictures to 256 colours."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
        for output in cell.get("outputs", []):
            if PNG in output.get("data", {}):
                output.data[PNG] = reduce_colours(output.data[PNG])
                output.data.pop("image/jpeg", None)  # Pillow offers both


def reduce_colours(encoded: str) -> str:
    """Encode a picture, PNG in base64, with a palette: a third of the size, and no visible difference."""
    picture = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    content = io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
    return base64.b64encode(content.getvalue()).decode("ascii")


if __name__ == "__main__":
    main()
