"""`/docs`: the OpenAPI document as a page to read, in the drawing page's theme, without a request to any other host.

FastAPI's own page loads its scripts from elsewhere, which the server's security policy forbids.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from mnist_cnn.server.markup import write_page, write_table

router = APIRouter(include_in_schema=False)

_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9a-fA-F:.]+\](:\d+)?")
_KEY = "…"  # stands for the API key
_LINE = 400  # characters of an example that fits into a command
_ADDRESS = "http://127.0.0.1:8000"  # the server's in what the document says; the page knows the one that was asked
_BOUNDS = {"minimum": "≥ ", "exclusiveMinimum": "> ", "maximum": "≤ ", "exclusiveMaximum": "< "}
_LENGTHS = {"minLength": "at least {} characters", "maxLength": "at most {} characters"}
_LENGTHS |= {"minItems": "at least {} items", "maxItems": "at most {} items"}

_Operation = tuple[str, str, Any]  # method, path, what the document says of it

_BODY = """<header>
<h1>{title} <small>{version}</small></h1>
{description}
<p><a href="./">Drawing page</a> · <a href="openapi.json">OpenAPI document</a></p>
</header>
<nav aria-label="Contents">{contents}</nav>
<main>
{operations}
<h2 id="schemas">Schemas</h2>
{schemas}
</main>"""


@router.get("/docs")
async def read_docs(request: Request) -> HTMLResponse:
    """Give the documentation of all routes."""
    return HTMLResponse(render(request.app.openapi(), find_address(request)))


def find_address(request: Request) -> str:
    """Give the address under which the client knows this server, for the examples; a strange one is left out."""
    host = request.headers.get("host", "")
    host = host if _HOST.fullmatch(host) else "localhost"
    return f"{request.scope['scheme']}://{host}{request.scope.get('root_path', '')}"


def render(document: Mapping[str, Any], address: str) -> str:
    """Write an OpenAPI document as HTML.

    Args:
        document: As `FastAPI.openapi()` gives it.
        address: Of the server, without a slash at the end.
    """
    groups = _grouped(document["paths"])
    operations = [each for group in groups.values() for each in group]
    schemas = document.get("components", {}).get("schemas", {})
    info = document["info"]
    body = _BODY.format(
        title=escape(info["title"]),
        version=escape(info["version"]),
        description=_prose((info.get("description") or info.get("summary") or "").replace(_ADDRESS, address)),
        contents=_contents(groups),
        operations="\n".join(_operation(*each, address, "security" in document) for each in operations),
        schemas="\n".join(_schema(name, schema) for name, schema in schemas.items()),
    )
    return write_page(f"{info['title']} API", body)


def _grouped(paths: Mapping[str, Mapping[str, Any]]) -> dict[str, list[_Operation]]:
    """Put the operations that share their first tag together, in the order in which tags come."""
    groups: dict[str, list[_Operation]] = {}
    for path, methods in paths.items():
        for method, operation in methods.items():
            tag = next(iter(operation.get("tags", [])), "other")
            groups.setdefault(tag, []).append((method, path, operation))
    return groups


def _contents(groups: Mapping[str, Iterable[_Operation]]) -> str:
    items = (f"<li>{escape(tag[:1].upper() + tag[1:])}<ul>{_links(group)}</ul>" for tag, group in groups.items())
    return f"<ul>{''.join(items)}<li>{_link('schemas', 'Schemas')}</ul>"


def _links(operations: Iterable[_Operation]) -> str:
    return "".join(
        f'<li><a href="#{_anchor(method, path)}"><b>{method.upper()}</b><span>{_breakable(path)}</span></a>'
        for method, path, _ in operations
    )


def _breakable(path: str) -> str:
    """Let a path go on in another line before a slash, and nowhere else."""
    return escape(path).replace("/", "<wbr>/")


def _operation(method: str, path: str, operation: Mapping[str, Any], address: str, has_key: bool) -> str:
    parts = [
        f"<h2><b>{method.upper()}</b> <code>{escape(path)}</code></h2>",
        f"<h3>{escape(operation.get('summary', ''))}</h3>",
        _prose(operation.get("description", "")),
        write_table("Parameters", map(_parameter, operation.get("parameters", []))),
        *_body(operation.get("requestBody", {}).get("content", {})),
        _commands(method, address + path, operation, has_key),
        write_table("Answers", (_answer(status, answer) for status, answer in operation["responses"].items())),
        *_answer_examples(operation["responses"]),
    ]
    return f'<section id="{_anchor(method, path)}">{"".join(parts)}</section>'


def _parameter(parameter: Mapping[str, Any]) -> tuple[str, ...]:
    name = f"<code>{escape(parameter['name'])}</code>" + (" (required)" if parameter.get("required") else "")
    schema = parameter.get("schema", {})
    return name, parameter["in"], _kind(schema), _inline(parameter.get("description") or schema.get("description", ""))


def _body(content: Mapping[str, Any]) -> Iterator[str]:
    if content:
        yield write_table(
            "Body", ((f"<code>{escape(kind)}</code>", _kind(each["schema"])) for kind, each in content.items())
        )
    for kind, each in content.items():
        yield from (_details(f"{kind}: {name}", value) for name, value in _examples(each))
        if kind == "application/json" and "$ref" not in each["schema"]:
            yield _details(f"{kind}: schema", each["schema"])


def _answer(status: str, answer: Mapping[str, Any]) -> tuple[str, ...]:
    kinds = (f"<code>{escape(kind)}</code> {_kind(each.get('schema'))}" for kind, each in _content(answer))
    return status, _inline(answer.get("description", "")), "<br>".join(kinds)


def _answer_examples(answers: Mapping[str, Any]) -> Iterator[str]:
    for status, answer in answers.items():
        for _, each in _content(answer):
            yield from (_details(f"{status}: {name}", value) for name, value in _examples(each))


def _content(answer: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    pairs: Iterable[tuple[str, Mapping[str, Any]]] = answer.get("content", {}).items()
    return pairs


def _examples(content: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Give the examples of one media type with their names, in whichever of OpenAPI's three forms they come."""
    named = [(name, each["value"]) for name, each in content.get("examples", {}).items() if "value" in each]
    plain = [content["example"]] if "example" in content else content.get("schema", {}).get("examples", [])
    return named or [("example", each) for each in plain]


def _details(title: str, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return f"<details><summary>{escape(title)}</summary><pre><code>{escape(text)}</code></pre></details>"


def _commands(method: str, url: str, operation: Mapping[str, Any], has_key: bool) -> str:
    """Write how to ask with curl: one command per kind of body that can be shown in a line."""
    options = [] if method == "get" else ["-X", method.upper()]
    options += ["-H", f"X-API-Key: {_KEY}"] if has_key else []
    content = operation.get("requestBody", {}).get("content", {})
    bodies = [body for kind, each in content.items() if (body := _curl_body(kind, each))] or [[]]
    commands = (shlex.join(["curl", *options, *body, url]) for body in bodies)
    return f"<pre><code>{escape(chr(10).join(commands))}</code></pre>"


def _curl_body(kind: str, content: Mapping[str, Any]) -> list[str]:
    if kind == "multipart/form-data":
        return ["-F", "file=@digit.png"]
    if kind == "image/*":
        return ["-H", "Content-Type: image/png", "--data-binary", "@digit.png"]
    for _, example in _examples(content):
        if len(text := json.dumps(example)) <= _LINE:
            return ["-H", f"Content-Type: {kind}", "-d", text]
    return []


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", [])
    rows = (_field(key, each, key in required) for key, each in schema.get("properties", {}).items())
    parts = [
        f"<h3>{escape(name)}</h3>",
        _prose(schema.get("description", "")),
        write_table("Fields", rows) or f"<p>{_kind(schema)}</p>",
        *(_details("example", example) for example in schema.get("examples", [])),
    ]
    return f'<section id="schema-{escape(name)}">{"".join(parts)}</section>'


def _field(name: str, schema: Mapping[str, Any], required: bool) -> tuple[str, ...]:
    name = f"<code>{escape(name)}</code>" + (" (required)" if required else "")
    return name, _kind(schema), _inline(schema.get("description", ""))


def _kind(schema: Mapping[str, Any] | None) -> str:
    """Say in a few words what a JSON schema allows, as HTML."""
    if not schema:
        return ""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _link(f"schema-{name}", name)
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(dict.fromkeys(map(_kind, choices)))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum") or [schema["const"]]
        return ", ".join(f"<code>{escape(json.dumps(value))}</code>" for value in values)
    if schema.get("type") == "array":
        items = _kind(schema.get("items"))
        return ", ".join([f"list of {items}" if items else "list", *_limits(schema)])
    if schema.get("properties"):
        return "object with " + ", ".join(f"<code>{escape(name)}</code>" for name in schema["properties"])
    kind = schema.get("contentMediaType") or schema.get("format") or schema.get("type", "anything")
    return ", ".join([escape(str(kind)), *_limits(schema)])


def _limits(schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{sign}{schema[key]}" for key, sign in _BOUNDS.items() if key in schema)
    yield from (text.format(schema[key]) for key, text in _LENGTHS.items() if key in schema)


def _prose(text: str) -> str:
    paragraphs = (each.strip() for each in text.split("\n\n"))
    return "".join(f"<p>{_inline(each)}</p>" for each in paragraphs if each)


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _link(anchor: str, text: str) -> str:
    return f'<a href="#{escape(anchor)}">{escape(text)}</a>'


def _anchor(method: str, path: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{method}{path}".lower()).strip("-")
