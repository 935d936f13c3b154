"""All settings of the server: from the environment (`MNIST_CNN_SERVE_…`), or given by the command line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import ByteSize, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mnist_cnn.errors import SettingError, suggest

if TYPE_CHECKING:
    Bytes: TypeAlias = int  # callers give numbers
else:
    Bytes = ByteSize  # people write 10MiB

PREFIX = "MNIST_CNN_SERVE_"

_LONGEST_SHOWN = 80  # characters of a value that a message repeats
_OPTIONS = {"cors_origins": "--cors-origin", "api_key": "--api-key-file"}  # those not called as their settings
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")  # RFC 6454, as browsers send it
_KEY = re.compile(r"[!-~]{16,}")  # what any client can send as a header's value


class Settings(BaseSettings):
    """One server, described. Each field is read from the variable of its name in capitals after `MNIST_CNN_SERVE_`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", protected_namespaces=())

    model: Path | None = Field(
        default=None, description="An ONNX file or an exported run; none: the weights that ship."
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Confidence from which a digit is accepted; none: the model's own.",
    )
    scale: float | None = Field(
        default=None,
        ge=1e-9,
        le=1e9,
        allow_inf_nan=False,
        description="What a model made by others wants grey levels 0 … 255 multiplied by; none: what it says, or what "
        "reads known digits best.",
    )
    host: str = Field(
        default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 for all of this machine's."
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 for any that is free.")
    workers: int = Field(
        default=1, ge=1, le=64, description="Processes that share the port, each with its own network."
    )
    max_body: Bytes = Field(
        default=10 * 2**20, ge=1024, le=2**30, description="Bytes of a request's body, such as 10MiB."
    )
    max_held: Bytes = Field(
        default=128 * 2**20,
        ge=1024,
        le=2**40,
        description="Bytes of all bodies in memory at once; more: 503.",
    )
    max_pixels: int = Field(default=25_000_000, ge=784, le=64_000_000, description="Pixels of one image.")
    max_images: int = Field(default=256, ge=1, le=65536, description="Images of one request.")
    max_pending: int = Field(default=512, ge=1, le=65536, description="Images that wait for the network; more: 503.")
    max_requests: int = Field(
        default=256, ge=1, le=65536, description="Requests in work at once; more: 503, body unread."
    )
    timeout: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="Seconds from a request's head to its answer; a slow body: 408, slow work: 503.",
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="What a request must bring, 16 or more letters, digits and signs; none: anyone may.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Web origins whose pages may ask, with commas between; none: only the server's own page.",
    )
    hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Names by which the page is reached, with commas between; none: any, or, where it listens on "
        "127.0.0.1, this machine's own. Collecting asks for them.",
    )
    collect: Path | None = Field(
        default=None, description="Folder in which labelled digits are kept; none: nothing is kept."
    )
    collect_limit: int = Field(default=10_000, ge=1, le=100_000, description="Files in that folder.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="What is worth a line.")
    log_format: Literal["json", "text"] = Field(
        default_factory=lambda: "text" if sys.stdout.isatty() else "json",
        description="One JSON object a line, or for people; as a rule the latter on a terminal.",
    )

    def to_environment(self) -> dict[str, str]:
        """Give the variables from which another process reads the same settings."""
        texts = {}
        for name, value in self:
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if value is not None:
                texts[PREFIX + name.upper()] = ",".join(value) if isinstance(value, tuple) else str(value)
        return texts

    @property
    def own_names(self) -> tuple[str, ...]:
        """Names that the page may be reached by; none: any."""
        return self.hosts or (_LOOPBACK if self.host in _LOOPBACK else ())

    @field_validator("model", "threshold", "scale", "collect", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value  # else an empty path would be the folder that the server runs in

    @field_validator("model", mode="before")
    @classmethod
    def _is_no_address(cls, value: Any) -> Any:
        if "://" in str(value):
            raise ValueError("addresses are not read; download the file first")
        return value

    @field_validator("model", "collect")
    @classmethod
    def _at_home(cls, path: Path | None) -> Path | None:
        try:
            return path and path.expanduser()  # no shell does it in a container's environment
        except RuntimeError:
            raise ValueError("there is no such home; write the path without ~") from None

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_small_letters(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("api_key")
    @classmethod
    def _can_be_sent(cls, key: SecretStr | None) -> SecretStr | None:
        if key is None:
            return None
        text = key.get_secret_value().strip()  # a file's last line end
        if not _KEY.fullmatch(text):
            raise ValueError("too short, or with spaces or characters beyond ASCII")
        return SecretStr(text)

    @field_validator("cors_origins", "hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value

    @field_validator("cors_origins", "hosts")
    @classmethod
    def _lower(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name.lower() for name in names)  # as browsers send them

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r:.80} is no origin, such as {_likely_origin(origin)}")
        return origins

    @model_validator(mode="after")
    def _one_request_fits(self) -> Settings:
        if self.max_images > self.max_pending:
            raise ValueError(f"max_images = {self.max_images} is more than may wait (max_pending = {self.max_pending})")
        if self.max_body > self.max_held:
            raise ValueError(f"max_body = {self.max_body} is more than may be held (max_held = {self.max_held})")
        return self


def _likely_origin(text: str) -> str:
    """Give what was probably meant by something that is no origin."""
    scheme, found, rest = text.rpartition("://")
    origin = f"{scheme if found else 'https'}://{rest.partition('/')[0]}"
    return origin if _ORIGIN.fullmatch(origin) and len(origin) <= _LONGEST_SHOWN else "https://example.com"


def load_settings(**given: Any) -> Settings:
    """Read the settings: what is given, the environment for the rest.

    Raises:
        InputError: A value is out of its range, or of the wrong kind, or a variable is no setting's.
    """
    for variable in os.environ:
        name = variable.upper().removeprefix(PREFIX).lower()
        if variable.upper().startswith(PREFIX) and name not in Settings.model_fields:  # a misspelt key protects nothing
            raise SettingError(f"there is no setting {variable}. {suggest(name, Settings.model_fields)}")
    try:
        return Settings(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        raise SettingError(_explain(error, given)) from None


def _explain(error: ValidationError, given: Collection[str]) -> str:
    """Say what the first bad setting is, without its value where that is a key, and where it comes from.

    Args:
        error: Of `Settings`.
        given: Names of the settings that the command line gave; the others are the environment's.
    """
    first = error.errors(include_url=False, include_context=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:  # two that do not go together
        return f"{message}. Lower the one or raise the other."
    name = str(first["loc"][0])
    if name not in Settings.model_fields:
        return f"there is no setting {name!r}. {suggest(name, Settings.model_fields)}"
    value = "" if name == "api_key" else f" = {first['input']!r:.80}"
    meaning = Settings.model_fields[name].description
    option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
    source = option if name in given else PREFIX + name.upper()
    return f"{name}{value} is not valid: {message[0].lower()}{message[1:]}. {meaning} See {source}."
