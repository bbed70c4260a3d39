"""What the OpenAPI document says beside the routes: API keys, the role of each route, errors of `RequestChecks`."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from segue.service.http.problems import Problem, responses
from segue.service.http.roles import role_of

SCHEME = "key"  # name of the security scheme
ALWAYS = (400, 403, 422, 429, 431, 500, 503)
WITH_KEY, WITH_BODY = (401,), (408, 413, 415)


def describe_checks(schema: dict[str, Any], *, keys: bool) -> dict[str, Any]:
    """An OpenAPI document with what `RequestChecks` asks and answers.

    Args:
        schema: the document; it is changed.
        keys: whether this service asks for keys.
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
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            role = role_of(method.upper(), path)
            needed: list[dict[str, list[str]]] = [] if role is None else [{SCHEME: [role]}]
            operation["security"] = needed if keys or not needed else [*needed, {}]
            statuses = (*ALWAYS, *(WITH_KEY if needed else ()))
            statuses += WITH_BODY if "requestBody" in operation else ()
            errors = {str(status): answer for status, answer in responses(*statuses).items()}
            operation["responses"] = dict(sorted({**errors, **operation["responses"]}.items()))
    return schema
