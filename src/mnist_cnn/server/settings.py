"""All settings of the server: from the environment (`MNIST_CNN_SERVE_…`), or given by the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mnist_cnn.errors import InputError, suggest

PREFIX = "MNIST_CNN_SERVE_"


class Settings(BaseSettings):
    """One server, described. Each field is read from the variable of its name in capitals after `MNIST_CNN_SERVE_`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", protected_namespaces=())

    model: Path | None = Field(
        default=None, description="An ONNX file or an exported run; none: the weights that ship."
    )
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="Confidence from which a digit is accepted; none: the model's own."
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all of this machine's.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 for any that is free.")
    workers: int = Field(
        default=1, ge=1, le=64, description="Processes that share the port, each with its own network."
    )
    max_body: int = Field(default=10 * 2**20, ge=1024, le=2**30, description="Bytes of a request's body.")
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
        default=None, min_length=16, description="What a request must bring; none: anyone may."
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
    collect_limit: int = Field(default=10_000, ge=1, le=10_000_000, description="Files in that folder.")
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

    @field_validator("cors_origins", "hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_request_fits(self) -> Settings:
        if self.max_images > self.max_pending:
            raise ValueError(f"max_images = {self.max_images} is more than may wait (max_pending = {self.max_pending})")
        return self


def load_settings(**given: Any) -> Settings:
    """Read the settings: what is given, the environment for the rest.

    Raises:
        InputError: A value is out of its range, or of the wrong kind.
    """
    try:
        return Settings(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        raise InputError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    """Say what the first bad setting is, without its value where that is a key."""
    first = error.errors(include_url=False, include_context=False)[0]
    if not first["loc"]:  # two that do not go together
        return f"{first['msg'].removeprefix('Value error, ')}. Lower the one or raise the other."
    name = str(first["loc"][0])
    if name not in Settings.model_fields:
        return f"there is no setting {name!r}. {suggest(name, Settings.model_fields)}"
    value = "" if name == "api_key" else f" = {first['input']!r:.80}"
    meaning = Settings.model_fields[name].description
    return f"{name}{value} is not valid: {first['msg'].lower()}. {meaning} See {PREFIX}{name.upper()}."
