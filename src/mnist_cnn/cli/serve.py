"""`mnist-cnn serve`: a page to draw on, and an API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnist_cnn.cli.options import PATH, scale_option
from mnist_cnn.errors import MissingExtraError, SettingError

if TYPE_CHECKING:
    from mnist_cnn.server.settings import Settings


@click.command()
@click.option("--model", help="An ONNX file or an exported run (default: the weights that ship).")
@click.option("--threshold", type=float, help="Confidence from which a digit is accepted (default: the model's).")
@scale_option
@click.option("--host", help="Address to listen on; 0.0.0.0 for all (default: 127.0.0.1).")
@click.option("--port", type=int, help="Port; 0 for any that is free (default: 8000).")
@click.option("--workers", type=int, help="Processes that share the port (default: 1).")
@click.option("--collect", metavar="DIR", help="Keep digits that people label on the page, for training.")
@click.option(
    "--cors-origin",
    multiple=True,
    metavar="ORIGIN",
    help="A site whose pages may use the API; may be given several times.",
)
@click.option(
    "--api-key-file",
    type=PATH,
    help="A file that holds the key which requests must bring. (MNIST_CNN_SERVE_API_KEY does, too.)",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
def serve(
    model: str | None,
    threshold: float | None,
    scale: float | None,
    host: str | None,
    port: int | None,
    workers: int | None,
    collect: str | None,
    cors_origin: tuple[str, ...],
    api_key_file: Path | None,
    open_page: bool,
) -> None:
    """Serve a page to draw digits on, and an API that reads them.

    Limits and logs are set in the environment: MNIST_CNN_SERVE_MAX_BODY, …; see the README.
    """
    _refuse_empty(model=model, collect=collect)
    settings = _settings(
        model=model,
        threshold=threshold,
        scale=scale,
        host=host,
        port=port,
        workers=workers,
        collect=collect,
        cors_origins=cors_origin or None,
        api_key=None if api_key_file is None else _read_key(api_key_file),
    )
    from mnist_cnn.server.process import serve as run

    run(settings, lambda address: _announce(address, open_page))


def _refuse_empty(**paths: str | None) -> None:
    """Refuse what a shell makes of a variable that is not set.

    Raises:
        InputError: An option is empty.
    """
    for name, path in paths.items():
        if path is not None and not path.strip():
            raise SettingError(f"--{name} is empty. Give it a path, or leave it out.")


def _settings(**given: Any) -> Settings:
    """Give the settings: of the command line, the environment for the rest.

    Raises:
        InputError: One is out of range.
        MissingExtraError: The server's libraries are not installed.
    """
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401

        from mnist_cnn.server.settings import load_settings
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "serve") from error
    return load_settings(**given)


def _read_key(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SettingError(f"--api-key-file {path} cannot be read as text. Name a file with one line.") from None


def _announce(address: str, open_page: bool) -> None:
    click.echo(f"Listening on {address}", err=True)  # standard output is the log's
    if open_page:
        import threading
        import webbrowser

        # A browser in the terminal holds its caller until it is left, and this is the server's own loop.
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
