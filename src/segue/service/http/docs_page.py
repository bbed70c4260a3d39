"""`docs_page`: all routes as a page for people, made from the OpenAPI document. It loads nothing and runs no script."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response

from segue.service.http.openapi import ROLE

router = APIRouter(include_in_schema=False)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: auto; padding: 1rem; }
details { border-top: 1px solid #8888; padding: .5rem 0; }
summary { cursor: pointer; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; }
pre { overflow-x: auto; }
"""


@router.get("/docs")
async def docs(request: Request) -> Response:
    """All routes."""
    page = _page(request.app)
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": POLICY})


@lru_cache(1)
def _page(app: FastAPI) -> str:
    return docs_page(app.openapi())


def docs_page(schema: Mapping[str, Any]) -> str:
    """The page of an OpenAPI document."""
    routes = [
        _route(schema, method.upper(), path, one)
        for path, operations in schema["paths"].items()
        for method, one in operations.items()
    ]
    title = f"{schema['info']['title']} {schema['info']['version']}"
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{escape(title)}</h1><p>{escape(schema['info']['description'])} Programs read "
        f'<a href="/openapi.json">openapi.json</a>.</p>{"".join(routes)}</body></html>'
    )


def _route(schema: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = [
        (one["name"], one.get("description", ""), one["in"] + (", needed" if one.get("required") else ""))
        for one in operation.get("parameters", ())
    ]
    parts = [f"<p>{escape(operation.get('description', ''))}</p>"]
    parts.append(f"<p>Role of the key: {operation[ROLE]}</p>")
    if rows:
        parts.append(_table(("parameter", "what it is", "where"), rows))
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        parts += ["<p>Body, in JSON:</p>", *(_fields(schema, name) for name in _names(body))]
    answers = [(status, one.get("description", "")) for status, one in operation["responses"].items()]
    parts.append(_table(("status", "meaning"), answers))
    head = f"<code>{method} {escape(path)}</code> {escape(operation.get('summary', ''))}"
    return f"<details><summary>{head}</summary>{''.join(parts)}</details>"


def _names(schema: Mapping[str, Any]) -> list[str]:
    """The names of the schemas that a schema refers to."""
    found = [schema["$ref"].rpartition("/")[2]] if "$ref" in schema else []
    return found + [name for key in ("oneOf", "anyOf") for one in schema.get(key, ()) for name in _names(one)]


def _fields(schema: Mapping[str, Any], name: str) -> str:
    """The fields of a schema, as a table."""
    described = schema["components"]["schemas"][name]
    needed = described.get("required", ())
    rows = [
        (
            field + ("" if field in needed else " (optional)"),
            one.get("description", ""),
            json.dumps(one["examples"][0], ensure_ascii=False) if one.get("examples") else "",
        )
        for field, one in described.get("properties", {}).items()
    ]
    return f"<p><strong>{escape(name)}</strong></p>{_table(('field', 'what it is', 'example'), rows)}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{''.join(f'<th>{one}</th>' for one in head)}</tr></thead><tbody>{lines}</tbody></table>"
