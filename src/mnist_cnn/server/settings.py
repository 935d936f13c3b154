"""All settings of the server, from the environment (`MNIST_CNN_SERVE_…`) or from the command line."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mnist_cnn.errors import SettingError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

PREFIX = "MNIST_CNN_SERVE_"
COUNTS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client reads this variable when it is imported

_REMOVED = ("MAX_HELD", "MAX_PENDING", "MAX_REQUESTS", "COLLECT_LIMIT")

_OPTIONS = {"cors_origins": "--cors-origin", "api_key": "--api-key-file"}  # options whose names differ
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")  # RFC 6454, as browsers send it
_HOST = re.compile(r"[a-z0-9._-]+|(?=.*:.*:)[0-9a-f:.]+")  # a name or an address, as a Host header has it without port
_KEY = re.compile(r"[!-~]{16,}")  # what any client can send in a header
_PLAIN = re.compile(r"[!-~]{1,80}")


# The text of a ValueError says what is valid.


def _to_path(value: Any) -> Path:
    if not str(value).strip():
        raise ValueError("a path")  # the empty one would mean the current folder
    if "://" in str(value):
        raise ValueError("a path; addresses are not read, download the file first")
    try:
        return Path(value).expanduser()  # no shell does this in a container's environment
    except RuntimeError:
        raise ValueError("a path; there is no such home folder") from None


def _split(value: Any) -> Any:
    names = value.split(",") if isinstance(value, str) else value
    return tuple(name.strip().lower() for name in names if name.strip())  # lower case, as browsers send them


def _check_origin(origin: str) -> str:
    if origin != "*" and not _ORIGIN.fullmatch(origin):
        raise ValueError("an origin, such as https://example.com:8443, or *")
    return origin


def _check_host(name: str) -> str:
    if not _HOST.fullmatch(name):
        raise ValueError("a host name without scheme, port and path, such as digits.example.org")
    return name


def _check_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value().strip()  # the line end of a file
    if not _KEY.fullmatch(text):
        raise ValueError("16 or more ASCII letters, digits and signs, without spaces")
    return SecretStr(text)


_FilePath = Annotated[Path, BeforeValidator(_to_path)]
_Origins = Annotated[tuple[Annotated[str, AfterValidator(_check_origin)], ...], NoDecode, BeforeValidator(_split)]
_Hosts = Annotated[tuple[Annotated[str, AfterValidator(_check_host)], ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """The settings of one server. The variable of a field is `MNIST_CNN_SERVE_` and its name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", protected_namespaces=()
    )

    model: _FilePath | None = Field(
        default=None, description="ONNX file or exported run. Default: the included weights."
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Minimum confidence of an accepted digit. Default: the model's own threshold.",
    )
    number_model: _FilePath | None = Field(
        default=None, description="ONNX file that reads whole numbers. Default: the included weights."
    )
    number_threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Minimum confidence of an accepted number. Default: the model's own threshold.",
    )
    scale: float | None = Field(
        default=None,
        ge=1e-9,
        le=1e9,
        description="Factor that converts grey levels 0 to 255 to the input of a third-party model. Default: from "
        "the model's metadata, otherwise the one that reads known digits best.",
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 for any free port.")
    workers: int = Field(default=1, ge=1, le=64, description="Number of processes, each with its own model.")
    max_body: ByteSize = Field(
        default=ByteSize(10 * 2**20), ge=1024, le=2**30, description="Largest request body in bytes, such as 10MiB."
    )
    max_pixels: int = Field(default=25_000_000, ge=784, le=64_000_000, description="Most pixels of one image.")
    max_images: int = Field(default=256, ge=1, le=65536, description="Most images in one request.")
    timeout: float = Field(
        default=10.0,
        ge=0.001,
        le=3600,
        description="Seconds from a request's head to its answer. A slow body ends with 408, slow work with 503.",
    )
    api_key: Annotated[SecretStr, AfterValidator(_check_key)] | None = Field(
        default=None, description="Key that requests must send. Default: no key is needed."
    )
    cors_origins: _Origins = Field(
        default=(), description="Origins of other sites whose pages may use the API, separated by commas."
    )
    hosts: _Hosts = Field(
        default=(),
        description="Host names of the page that may collect digits, separated by commas. Default: loopback names when "
        "the server listens on loopback, otherwise any.",
    )
    collect: _FilePath | None = Field(default=None, description="Folder for labelled digits. Default: nothing is kept.")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)] = Field(
        default="info", description="Least severe level that is logged."
    )
    log_format: Literal["json", "text"] = Field(
        default_factory=lambda: "text" if sys.stdout.isatty() else "json",
        description="One JSON object or one text per line. Default: text on a terminal, otherwise JSON.",
    )

    @property
    def own_names(self) -> tuple[str, ...]:
        """Host names under which the page may be opened; empty: any."""
        return self.hosts or (_LOOPBACK if self.host in _LOOPBACK else ())


def load_settings(**given: Any) -> Settings:
    """Read the settings: those given, and the rest from the environment. Empty variables count as unset.

    Raises:
        InputError: A value is invalid, or a variable with the prefix does not name a setting.
    """
    for variable, value in os.environ.items():  # a misspelt or empty API key would leave the server open
        name = variable.upper().removeprefix(PREFIX)
        if variable.upper().startswith(PREFIX) and name.lower() not in Settings.model_fields:
            raise SettingError(_refuse(variable, name))
        if variable == f"{PREFIX}API_KEY" and not value:
            raise SettingError(f"{variable} is empty. Give a key, or unset it to serve without one.")
    options = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**options)
    except ValidationError as error:
        raise SettingError(_explain(error, options)) from None


def _refuse(variable: str, name: str) -> str:
    if name in _REMOVED:
        return f"{variable} is no longer a setting; its value is fixed. Unset it."
    names = [field.upper() for field in Settings.model_fields]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"Did you mean {PREFIX}{close[0]}?" if close else f"Valid after {PREFIX}: {', '.join(names)}."
    return f"unknown setting {variable}. {hint}"


def _explain(error: ValidationError, options: Collection[str]) -> str:
    """Describe the first invalid setting: where it was set, its value (never a key), and what is valid."""
    first = error.errors(include_url=False)[0]
    name, value = str(first["loc"][0]), str(first["input"])
    value = value if _PLAIN.fullmatch(value) else repr(value)[:80]
    if name in options:
        source = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
        setting = f"{source} {value}"
    else:
        source = PREFIX + name.upper()
        setting = f"{source}={value}"
    if name == "api_key":
        setting = f"the key in {source}"
    return f"{setting} is not valid. Valid: {_valid(Settings.model_fields[name], first)}."


def _valid(field: FieldInfo, error: ErrorDetails) -> str:
    """Describe what is valid: the text of our own error, the values, or the range."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if get_origin(field.annotation) is Literal:
        return ", ".join(get_args(field.annotation))
    low: Any = next((each.ge for each in field.metadata if isinstance(each, Ge)), None)
    high: Any = next((each.le for each in field.metadata if isinstance(each, Le)), None)
    if low is None or high is None:
        return str(field.description).removesuffix(".")
    if field.annotation is ByteSize:
        return " to ".join(ByteSize(each).human_readable().replace(".0", "") for each in (low, high))
    return f"{low:g} to {high:g}" if isinstance(low, float) else f"{low} to {high}"
