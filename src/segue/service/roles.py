"""The role that each route needs. A route that is missing here needs the role admin; a test lists all routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segue.event_store.api_keys import Role

SCHEME = "key"  # name of the security scheme in OpenAPI
ROLES: Mapping[tuple[str, str], Role | None] = {  # None: open to everybody
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/metrics"): "read",
    ("POST", "/v1/events"): "write",
    ("GET", "/v1/recommend"): "read",
    ("POST", "/v1/recommend"): "read",
    ("GET", "/v1/popular"): "read",
    ("GET", "/v1/trending"): "read",
    ("GET", "/v1/items/{item}"): "read",
    ("GET", "/v1/items/{item}/similar"): "read",
    ("PUT", "/v1/items"): "write",
    ("POST", "/v1/items"): "write",
    ("GET", "/v1/users/{user}"): "read",
    ("DELETE", "/v1/users/{user}"): "admin",
    ("POST", "/v1/sessions/{session}/join"): "write",
    ("GET", "/v1/rules"): "read",
    ("GET", "/v1/rules/{name}"): "read",
    ("PUT", "/v1/rules/{name}"): "admin",
    ("DELETE", "/v1/rules/{name}"): "admin",
    ("POST", "/v1/rules/try"): "admin",
    ("GET", "/v1/models"): "read",
    ("POST", "/v1/models/activate"): "admin",
    ("POST", "/v1/models/load"): "admin",
    ("GET", "/v1/quality"): "read",
}


def role_of(method: str, path: str) -> Role | None:
    """The role that a route needs, by its path in OpenAPI.

    >>> role_of("POST", "/v1/events"), role_of("GET", "/healthz"), role_of("GET", "/v1/forgotten")
    ('write', None, 'admin')
    """
    return ROLES.get((method, path), "admin")


def describe_roles(schema: dict[str, Any], *, keys: bool) -> dict[str, Any]:
    """An OpenAPI document with the role of each route.

    Args:
        schema: the document; it is changed.
        keys: whether this service asks for keys.
    """
    schema.setdefault("components", {})["securitySchemes"] = {
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
    return schema
