"""The routes of the server, from the OpenAPI description that it publishes itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mnist_cnn.server.application import create_app
from mnist_cnn.server.settings import Settings
from site_parts.markdown import table

_FRAMEWORK = ("HTTPValidationError", "ValidationError")  # FastAPI adds them; this server answers with problems
_TITLES = {"operation": "Metrics"}  # by tag, where its own name does not say enough
_VERSIONS = "/versions/{version}"  # routes of the protocol that exist with and without it

Json = Mapping[str, Any]


def describe() -> str:
    """Describe every route, grouped as on the server's own page, and then the objects in requests and answers."""
    description = create_app(Settings(collect=Path("kept"))).openapi()
    groups: dict[str, list[str]] = {}
    objects: dict[str, Json] = dict(description["components"]["schemas"])
    for path, methods in description["paths"].items():
        for method, route in methods.items():
            if _VERSIONS not in path:
                groups.setdefault(route["tags"][0], []).extend(_route(method.upper(), path, route))
                objects |= {schema["title"]: schema for schema in _schemas(route) if _is_problem(schema)}
    parts = [part for tag, routes in groups.items() for part in (f"## {_title(tag)}", *routes)]
    shown = [part for name in sorted(set(objects) - set(_FRAMEWORK)) for part in _object(name, objects[name])]
    return "\n\n".join([*parts, "## Objects", *shown])


def _title(tag: str) -> str:
    return _TITLES.get(tag, f"{tag[:1].upper()}{tag[1:]}")


def _schemas(route: Json) -> list[Json]:
    """Return the schema of every answer."""
    contents = [content for response in route["responses"].values() for content in response.get("content", {}).values()]
    return [content["schema"] for content in contents if "schema" in content]


def _is_problem(schema: Json) -> bool:
    return schema.get("title") == "ProblemDetails"


def _route(method: str, path: str, route: Json) -> Iterator[str]:
    yield f"### {method} {path}"
    yield route.get("description", route["summary"])
    if queries := [each for each in route.get("parameters", []) if each["in"] == "query"]:
        yield table(("query", "meaning"), [(f"`{each['name']}`", each["description"]) for each in queries])
    if body := route.get("requestBody"):
        yield f"Body: {', '.join(f'`{kind}`' for kind in body['content'])}."
    answers: dict[str, list[str]] = {}
    for code, response in route["responses"].items():
        answers.setdefault(_answer(response), []).append(code)
    lines = [f"- {', '.join(sorted(codes))}: {answer}" for answer, codes in answers.items() if answer]
    yield "\n".join(lines)


def _answer(response: Json) -> str:
    """Name the object of an answer, or describe the answer in words; empty for FastAPI's own errors."""
    names = [_type(each["schema"]) for each in response.get("content", {}).values() if each.get("schema")]
    if any(name.startswith(f"[{each}]") for name in names for each in _FRAMEWORK):
        return ""
    return ", ".join(dict.fromkeys(names)) or response["description"]


def _object(name: str, schema: Json) -> Iterator[str]:
    yield f"### {name}"
    yield schema.get("description", "")
    if "enum" in schema:
        yield _type(schema)
    elif properties := schema.get("properties"):
        rows = [(f"`{key}`", _type(each), each.get("description", "")) for key, each in properties.items()]
        yield table(("field", "type", "meaning"), rows)


def _type(schema: Json) -> str:
    """Name a type of JSON; the objects of this page are links."""
    name = schema.get("$ref", "").rpartition("/")[2] or ("ProblemDetails" if _is_problem(schema) else "")
    if name:
        return f"[{name}](#{name.lower()})"
    if values := schema.get("enum"):
        return ", ".join(f"`{value}`" for value in values)
    if options := schema.get("anyOf"):
        return " or ".join(_type(each) for each in options)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", "any"))
