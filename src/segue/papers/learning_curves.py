"""Learning curves: the validation metric of each method after each epoch, as a picture and a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from segue.papers.methods import Method, MethodResult
from segue.papers.reproduction import Picture
from segue.reporting.numbers import validation_figure


def learning_curves(results: Sequence[MethodResult], *, name: str, title: str, metric: str) -> Picture:
    """The validation metric by epoch, one line for each method that was validated after more than one epoch.

    Args:
        results: of the methods.
        name: of the picture's file.
        title: of the picture.
        metric: the name of the vertical axis.
    """
    rows = tuple(
        {"epoch": epoch, metric: validation_figure(value), "method": result.method.name}
        for result in results
        if len(result.selection.validation_curve) > 1
        for epoch, value in result.selection.validation_curve
    )
    encoding = {"x": "epoch", "y": metric, "by": "method", "title": title}
    return Picture(name=name, kind="line", rows=rows, encoding=encoding)


def unfinished_sentences(part: str, results: Sequence[MethodResult]) -> list[str]:
    """A sentence that names the methods whose best epoch is the last allowed one, so that more may be better."""
    names = [
        result.method.name
        for result in results
        if isinstance(result.method, Method)
        and result.selection.validation_curve
        and result.selection.epochs == result.method.epochs
    ]
    return [f"{part}: the best epoch on validation is the last allowed one for {', '.join(names)}."] * bool(names)
