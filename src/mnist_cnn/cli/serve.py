"""`mnist-cnn serve`: a drawing page and an API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mnist_cnn.cli.options import PATH, scale_option
from mnist_cnn.cli.verb import Verb
from mnist_cnn.errors import SettingError, requires_extra


@click.command(cls=Verb, example="mnist-cnn serve --open")
@click.option("--model", type=click.Path(), help="ONNX file or exported run (default: the included weights).")
@click.option("--threshold", type=float, help="Minimum confidence to accept a digit, 0 to 1 (default: the model's).")
@scale_option
@click.option("--host", help="Address to listen on; 0.0.0.0 for all (default: 127.0.0.1).")
@click.option("--port", type=int, help="Port to listen on, 1 to 65535; 0 for any free port (default: 8000).")
@click.option("--workers", type=int, help="Number of worker processes, 1 to 64 (default: 1).")
@click.option(
    "--collect",
    type=click.Path(),
    metavar="DIR",
    help="Keep the digits that are labelled on the page in this folder, for training.",
)
@click.option(
    "--cors-origin",
    "cors_origins",
    multiple=True,
    metavar="ORIGIN",
    help="Origin of another site whose pages may use the API. Can be repeated.",
)
@click.option(
    "--api-key-file",
    type=PATH,
    help="File with the API key that requests must send. Alternative: MNIST_CNN_SERVE_API_KEY.",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
def serve(cors_origins: tuple[str, ...], api_key_file: Path | None, open_page: bool, **settings: Any) -> None:
    """Serve a page to draw digits on, and an API that reads them.

    Environment variables set limits and logs, such as MNIST_CNN_SERVE_MAX_BODY. The documentation lists them under
    HTTP API.
    """
    with requires_extra("serve"):
        from mnist_cnn.server import launch
        from mnist_cnn.server.settings import load_settings
    key = api_key_file and _read_key(api_key_file)
    launch.serve(
        load_settings(**settings, cors_origins=cors_origins or None, api_key=key),
        lambda address: _announce(address, open_page),
    )


def _read_key(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingError(
            f"--api-key-file {path} cannot be read: {reason}. Name a file with the key in one line."
        ) from None


def _announce(address: str, open_page: bool) -> None:
    click.echo(f"Listening on {address}\nPress Ctrl-C to stop.", err=True)  # standard output is for the log
    if open_page:
        import webbrowser

        webbrowser.open(address)
