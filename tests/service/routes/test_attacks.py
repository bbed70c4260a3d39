"""Requests that schemathesis makes from the service's own OpenAPI document, sent to a real server process.

None of them is an error of the service, and every answer is one that the document describes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

import pytest
import schemathesis
from benchmarks.running_service import running_service
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

NEED_NAMES = {  # of models, columns and items: the tests of these routes send right ones
    *("POST /v1/models/activate", "POST /v1/models/load", "POST /v1/recommend", "PUT /v1/rules/{name}"),
}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def address(models, tmp_path_factory) -> Iterator[str]:
    store = f"sqlite:///{tmp_path_factory.mktemp('attacks') / 'events.db'}"
    with running_service(models, store, "--active", "hgn") as (port, _, _):
        yield f"http://127.0.0.1:{port}"


Statuses = Mapping[str, Counter[int]]  # the statuses of the answers of each operation


def attack(address: str, mode: GenerationMode, examples: int) -> Statuses:
    """Send so many different requests to every route that takes something, and one to the others.

    Fewer are sent where there are no more.
    """
    answers: Statuses = defaultdict(Counter)
    for found in schemathesis.openapi.from_url(f"{address}/openapi.json").get_all_operations():
        operation = found.ok()

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
            answers[case.operation.label][response.status_code] += 1
            case.validate_response(response, checks=CHECKS)

        takes_something = bool(list(operation.iter_parameters()) or list(operation.body))
        if takes_something or mode is GenerationMode.POSITIVE:
            send()
            assert answers[operation.label].total() >= (5 if takes_something else 1)
    return answers


def check_right(answers: Statuses) -> None:
    """Requests that fit the description come through to every route, except those that need names of what is there."""
    assert len(answers) > 20
    assert {label for label, statuses in answers.items() if {*statuses} == {422}} <= NEED_NAMES


def check_wrong(answers: Statuses) -> None:
    """Requests that do not fit are refused at every route, all but few: in a query, the number 65 is the text 65."""
    assert len(answers) > 20
    for label, statuses in answers.items():
        refused = sum(count for status, count in statuses.items() if 400 <= status < 500)
        assert refused >= 0.9 * statuses.total(), (label, statuses)


@pytest.mark.parametrize(
    ("mode", "check"), [(GenerationMode.POSITIVE, check_right), (GenerationMode.NEGATIVE, check_wrong)]
)
@pytest.mark.parametrize("examples", [5, pytest.param(300, marks=pytest.mark.slow)])
def test_no_request_is_an_error_of_the_service(address, mode, check, examples):
    check(attack(address, mode, examples))
