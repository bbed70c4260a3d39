"""Paired differences between the methods of a table, with p-values that are corrected for all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from segue.data.log import Ids
from segue.evaluation.significance import holm, interval, t_test
from segue.papers.methods import MethodResult


def paired_difference(
    result: MethodResult, other: MethodResult, metric: str = "rmse", instances: Any = slice(None), *, part: str = ""
) -> dict[str, Any]:
    """The mean difference of two results over the evaluation instances, or over some of them.

    For "rmse" it is the difference of squared errors. The interval is bootstrapped over users; p is of a paired t-test.

    Args:
        result: the method that is compared.
        other: what it is compared with.
        metric: such as "rmse" or "auc".
        instances: which evaluation instances.
        part: the title of the sub-table.
    """
    users: Ids = result.runs[0].predictions.users(metric)[instances]
    values, other_values = result.values(metric)[instances], other.values(metric)[instances]
    low, high = interval(values - other_values, users)
    return {
        "of": result.method.name,
        "against": other.method.name,
        "metric": metric,
        "difference": float((values - other_values).mean()),
        "low": low,
        "high": high,
        "p": t_test(values, other_values, users),
        "part": part,
    }


def correct_together(tests: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The tests of a table with "p_holm", corrected for all of them."""
    listed = list(tests)
    corrected = holm([test["p"] for test in listed])
    return [{**test, "p_holm": p} for test, p in zip(listed, corrected, strict=True)]


def difference_sentences(tests: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence about each of the tests that `correct_together` returned."""
    return [_sentence(test) for test in tests]


def _sentence(test: Mapping[str, Any]) -> str:
    what = "mean squared error" if test["metric"] == "rmse" else test["metric"].upper()
    side = "below" if test["difference"] < 0 else "above"
    shown = "" if test["p_holm"] < 0.05 else "; no difference is shown"
    return (
        f"{test['part']}: the {what} of {test['of']} is {abs(test['difference']):.5f} {side} that of {test['against']} "
        f"(95% interval of the difference {test['low']:+.5f} to {test['high']:+.5f}, p = {test['p_holm']:.2g} "
        f"after correction{shown})."
    )
