"""The role that each route needs. A route that is missing here needs the role admin; a test lists all routes."""

from __future__ import annotations

from collections.abc import Mapping

from segue.event_store.api_keys import Role

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
    ("GET", "/v1/users"): "admin",  # other roles have to know the name of a user
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
    ("GET", "/v1/quality/series"): "read",
}


def role_of(method: str, path: str) -> Role | None:
    """The role that a route needs, by its path in OpenAPI.

    >>> role_of("POST", "/v1/events"), role_of("GET", "/healthz"), role_of("GET", "/v1/forgotten")
    ('write', None, 'admin')
    """
    return ROLES.get((method, path), "admin")
