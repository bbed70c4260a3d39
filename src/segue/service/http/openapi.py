"""What the OpenAPI document says of the checks of a request: API keys, the role of each route, and errors.

@router.post("/events", openapi_extra=needs("write"), responses=responses(409))
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from segue.event_store.api_keys import Role
from segue.service.http.problems import MEDIA_TYPE, Problem

SCHEME = "key"  # name of the security scheme
ROLE = "x-role"  # of a route
Needed = Role | Literal["none"]  # that a key needs; "none" for a route that is open to all
ALWAYS, WITH_KEY, WITH_BODY = (400, 403, 422, 429, 431, 500, 503), (401,), (408, 413, 415)  # errors of routes


def needs(role: Needed) -> dict[str, Any]:
    """The role of a route, for `openapi_extra`. A route without one needs the role admin."""
    return {ROLE: role}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Error answers, for OpenAPI. A route names only its own; those that all routes have are added to them."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def describe_checks(schema: dict[str, Any], *, keys: bool) -> dict[str, Any]:
    """An OpenAPI document with what `RequestChecks` needs and answers.

    Args:
        schema: the document; it is changed.
        keys: whether this service requires keys.
    """
    components = schema.setdefault("components", {})
    _, definitions = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
    components.setdefault("schemas", {}).update(definitions["$defs"])
    components["securitySchemes"] = {
        SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": (
                "An API key, made with `segue serve --new-key ROLE`. Each role may do what those before it may: read, "
                "write, admin. A service that listens on its own machine only asks for none, unless it was started "
                "with --require-keys."
            ),
        }
    }
    for operations in schema["paths"].values():
        for operation in operations.values():
            role = operation.setdefault(ROLE, "admin")
            needed: list[dict[str, list[str]]] = [] if role == "none" else [{SCHEME: [role]}]
            operation["security"] = needed if keys or not needed else [*needed, {}]
            statuses = (*(WITH_KEY if needed else ()), *(WITH_BODY if "requestBody" in operation else ()))
            errors = {str(status): answer for status, answer in responses(*statuses).items()}
            operation["responses"] = dict(sorted({**errors, **operation["responses"]}.items()))
    return schema
