"""Requests that schemathesis makes from the service's own OpenAPI document, sent to a real server process.

None of them is an error of the service, and every answer is one that the document describes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
import schemathesis
from benchmarks.service import running_service
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def address(models, tmp_path_factory) -> Iterator[str]:
    store = f"sqlite:///{tmp_path_factory.mktemp('attacks') / 'events.db'}"
    with running_service(models, store, "--active", "hgn") as (port, _, _):
        yield f"http://127.0.0.1:{port}"


def attack(address: str, mode: GenerationMode, examples: int) -> int:
    """Send requests to every route that can be asked so; how many routes the service has."""
    operations = [one.ok() for one in schemathesis.openapi.from_url(f"{address}/openapi.json").get_all_operations()]
    sent: Counter[str] = Counter()
    for operation in operations:

        @given(operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def send(case):
            response = case.call()
            sent[case.operation.label] += 1
            case.validate_response(response, checks=CHECKS)

        can_be_wrong = bool(list(operation.iter_parameters()) or list(operation.body))
        if can_be_wrong or mode is GenerationMode.POSITIVE:
            send()
            assert sent[operation.label]
    return len(operations)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_is_an_error_of_the_service(address, mode):
    assert attack(address, mode, 5) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_of_many_is_an_error_of_the_service(address, mode):
    assert attack(address, mode, 300) >= 10
