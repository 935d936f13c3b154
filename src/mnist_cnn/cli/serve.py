"""`mnist-cnn serve`: a drawing page and an API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_cnn.cli.scale import ScaleOption
from mnist_cnn.errors import MissingExtraError, SettingError

if TYPE_CHECKING:
    from mnist_cnn.server.settings import Settings


def serve(
    model: Annotated[
        str | None,
        typer.Option(help="ONNX file or exported run. Default: the bundled weights.", show_default=False),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Confidence above which a digit is accepted. Default: the model's own threshold.", show_default=False
        ),
    ] = None,
    scale: ScaleOption = None,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; 0.0.0.0 for all. Default: 127.0.0.1.", show_default=False),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 for any free port. Default: 8000.", show_default=False)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of worker processes. Default: 1.", show_default=False)
    ] = None,
    collect: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Keep the digits that people label on the page in this folder, for training.",
            show_default=False,
        ),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Origin of another site whose pages may use the API. Can be repeated."),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the API key that requests must send. Alternative: MNIST_CNN_SERVE_API_KEY.",
            show_default=False,
        ),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Serve a page to draw digits on, and an API that reads them.

    Limits and logs are set with environment variables: MNIST_CNN_SERVE_MAX_BODY and others, see the README.
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
        cors_origins=tuple(cors_origin or ()) or None,
        api_key=None if api_key_file is None else _read_key(api_key_file),
    )
    from mnist_cnn.server.launch import serve as run

    run(settings, lambda address: _announce(address, open_page))


def _refuse_empty(**paths: str | None) -> None:
    """Refuse empty paths, which come from unset shell variables.

    Raises:
        InputError: An option is empty.
    """
    for name, path in paths.items():
        if path is not None and not path.strip():
            raise SettingError(f"--{name} is empty. Give a path, or omit the option.")


def _settings(**given: Any) -> Settings:
    """Give the settings of the command line, and the rest from the environment.

    Raises:
        InputError: A setting is invalid.
        MissingExtraError: The libraries of the server are not installed.
    """
    try:
        import fastapi  # noqa: F401
        import granian  # noqa: F401

        from mnist_cnn.server.settings import load_settings
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "serve") from error
    return load_settings(**given)


def _read_key(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SettingError(
            f"--api-key-file {path} cannot be read as text. Name a file with the key in one line."
        ) from None


def _announce(address: str, open_page: bool) -> None:
    typer.echo(f"Listening on {address}", err=True)  # standard output is for the log
    if open_page:
        import webbrowser

        webbrowser.open(address)
