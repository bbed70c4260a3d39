"""`RouteTable`: what each route takes, read from the OpenAPI document of the service. Nothing else is accepted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segue.service.http.openapi import ROLE, Needed


@dataclass(frozen=True)
class RouteSpec:
    """What a route takes.

    Attributes:
        path: as it is described, such as /v1/users/{user}.
        role: that a key needs.
        query: names of the parameters of the query, and whether each can be repeated.
        has_body: whether it takes a body.
    """

    path: str
    role: Needed
    query: Mapping[str, bool]
    has_body: bool


class RouteTable:
    """The routes of an OpenAPI document."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._fixed: dict[str, dict[str, RouteSpec]] = {}  # by path and method
        self._patterns: list[tuple[re.Pattern[str], dict[str, RouteSpec]]] = []
        for path, operations in schema["paths"].items():
            specs = {method.upper(): _spec(path, one) for method, one in operations.items()}
            if "{" in path:
                parts = re.split(r"\{[^}]*\}", path)
                self._patterns.append((re.compile(".+".join(map(re.escape, parts)), re.DOTALL), specs))
            else:
                self._fixed[path] = specs

    def find(self, method: str, path: str) -> RouteSpec | None:
        """The route of a request; None if there is none."""
        fixed = self._fixed.get(path)
        if fixed is not None and method in fixed:
            return fixed[method]
        return next((specs[method] for specs in self._of_pattern(path) if method in specs), None)

    def methods(self, path: str) -> list[str]:
        """The methods that a path has."""
        found = [self._fixed.get(path, {}), *self._of_pattern(path)]
        return sorted({method for specs in found for method in specs})

    def _of_pattern(self, path: str) -> list[dict[str, RouteSpec]]:
        return [specs for pattern, specs in self._patterns if pattern.fullmatch(path)]


def _spec(path: str, operation: Mapping[str, Any]) -> RouteSpec:
    query = {one["name"]: _is_list(one["schema"]) for one in operation.get("parameters", ()) if one["in"] == "query"}
    return RouteSpec(path, operation[ROLE], query, "requestBody" in operation)


def _is_list(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "array" or any(_is_list(one) for one in schema.get("anyOf", ()))
