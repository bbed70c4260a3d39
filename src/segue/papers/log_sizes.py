"""Sizes of logs as a paper prints them: counted where a log is available, and the printed figures alone elsewhere.

           CDs      CDs published   Books published
users      17,052          17,052            52,406      the log of Amazon Books is not available
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from segue.data.datasets import catalog
from segue.data.datasets.download import NotFound
from segue.data.log import Log
from segue.papers.reproduction import Row
from segue.reporting.console import say

QUICK_NOTE = "QUICK: the same figures, since nothing is trained."


def available_logs(names: Mapping[str, str]) -> dict[str, Log]:
    """The logs that a source of the catalogue has, by title. The reason is printed for each of the others.

    Args:
        names: the names in the catalogue, by title.

    Raises:
        NotFound: no source has any of them.
        DataError: one of them is there and cannot be read.
    """
    logs: dict[str, Log] = {}
    missing: list[NotFound] = []
    for title, name in names.items():
        try:
            logs[title] = catalog.load_log(name)
        except NotFound as error:
            missing.append(error)
    if not logs:
        raise missing[0]
    for reason in missing:
        say(str(reason))
    return logs


def size_rows(
    counts: Mapping[str, Mapping[str, float]], printed: Mapping[str, Sequence[float]], titles: Collection[str]
) -> list[Row]:
    """One row for each log and figure; the printed figures of logs that are not counted are columns of their own.

    Args:
        counts: the figures of each log that is available, by title.
        printed: the printed figures of the logs, in the order of `titles`, by figure.
        titles: of the logs of the paper.
    """
    rows = []
    for title, figures in counts.items():
        for figure, number in figures.items():
            by_log = dict(zip(titles, printed.get(figure, ()), strict=False))
            others = {f"{other} published": value for other, value in by_log.items() if other not in counts}
            rows.append(Row.counted(figure, title, number, published=by_log.get(title), other_logs=others))
    return rows


def size_notes(logs: Mapping[str, Log], names: Mapping[str, str]) -> list[str]:
    """Which logs are not available, and which of the others have other sizes than the published ones."""
    missing = [title for title in names if title not in logs]
    notes = [f"Not available here, so that only their published figures are shown: {', '.join(missing)}."] * bool(
        missing
    )
    rules = (step.rule for log in logs.values() for step in log.steps)
    return notes + [f"{rule}." for rule in rules if rule.startswith("not the published")]
