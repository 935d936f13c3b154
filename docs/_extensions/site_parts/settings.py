"""Tables of all settings, from the classes that check them: names, defaults, valid values and meanings."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ByteSize, TypeAdapter
from pydantic_settings import BaseSettings
from sphinx.pycode import ModuleAnalyzer

from mnist_cnn import config
from mnist_cnn.server.settings import PREFIX, Settings
from site_parts.markdown import sentence, table

# JSON Schema's words for limits → how a table shows them.
_LIMITS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}

_TYPES = {"boolean": "`true`, `false`", "string": "text", "object": "table"}


def describe_training() -> str:
    """Describe every section of a recipe in a table, and the fields outside of sections first."""
    sections = {field.name: field.type for field in dataclasses.fields(config.Config)}
    nested = {name: getattr(config, str(kind)) for name, kind in sections.items() if str(kind).endswith("Config")}
    parts = [_section("", config.Config), *(_section(f"{name}.", kind) for name, kind in nested.items())]
    return "\n\n".join(parts)


def _section(prefix: str, kind: type) -> str:
    """Describe one dataclass."""
    comments = ModuleAnalyzer.for_module(kind.__module__).find_attr_docs()
    properties: Mapping[str, Any] = TypeAdapter(kind).json_schema()["properties"]
    rows = [
        (
            f"`{prefix}{name}`",
            f"`{json.dumps(schema.get('default', {}))}`",
            _valid(schema),
            sentence(comments.get((kind.__name__, name), [])),
        )
        for name, schema in properties.items()
        if "$ref" not in schema  # a section
    ]
    title = f"### {prefix.rstrip('.')}\n\n{inspect.getdoc(kind)}" if prefix else ""
    return f"{title}\n\n{table(('setting', 'default', 'valid', 'meaning'), rows)}"


def _valid(schema: Mapping[str, Any]) -> str:
    """Describe the valid values of one property."""
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    limits = [text.format(f"{schema[word]:,}") for word, text in _LIMITS.items() if word in schema]
    kind = _TYPES.get(schema["type"], schema["type"])
    return " ".join([kind, ", ".join(limits)]).strip()


def describe_server() -> str:
    """Describe the settings of the server."""
    return table((f"`{PREFIX}…`", "default", "meaning"), _server_rows(Settings))


def _server_rows(settings: type[BaseSettings]) -> Iterator[tuple[str, str, str]]:
    for name, field in settings.model_fields.items():
        default = field.get_default()
        if isinstance(default, ByteSize):
            default = default.human_readable(separator="").replace(".0", "")
        shown = f"`{default}`" if default not in (None, ()) and field.default_factory is None else ""
        yield f"`{name.upper()}`", shown, field.description or ""
