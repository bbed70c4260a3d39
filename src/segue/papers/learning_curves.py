"""Learning curves: the validation metric of each method after each epoch, and its training loss, as a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from segue.papers.methods import Method, MethodResult
from segue.papers.reproduction import Picture
from segue.reporting.numbers import validation_figure


def learning_curves(
    results: Sequence[MethodResult], *, name: str, title: str, metric: str, from_loss: Callable[[float], float]
) -> Picture:
    """The metric by epoch on validation and in training, for each method that was validated more than once.

    Args:
        results: of the methods.
        name: of the picture's file.
        title: of the picture.
        metric: the name of the vertical axis.
        from_loss: the metric from the training loss; of a mean squared error its square root.
    """
    rows = tuple(
        {"epoch": epoch, metric: value, "method": line}
        for result in results
        if len(result.selection.validation_curve) > 1
        for epoch, value, line in _points(result, from_loss)
    )
    encoding = {"x": "epoch", "y": metric, "by": "method", "title": title}
    return Picture(name=name, kind="line", rows=rows, encoding=encoding)


def _points(result: MethodResult, from_loss: Callable[[float], float]) -> Iterator[tuple[int, Any, str]]:
    """(epoch, metric, line) of both lines of a method."""
    name, selection = result.method.name, result.selection
    yield from ((epoch, validation_figure(metric), name) for epoch, metric in selection.validation_curve)
    yield from ((epoch, from_loss(loss), f"{name}, training") for epoch, loss in enumerate(selection.losses, 1))


def unfinished_sentences(part: str, results: Sequence[MethodResult]) -> list[str]:
    """A sentence that names the methods whose best epoch is the last allowed one, so that more may be better."""
    names = [
        result.method.name
        for result in results
        if isinstance(result.method, Method)
        and result.selection.validation_curve
        and result.selection.epochs == result.method.epochs
    ]
    return [f"{part}: the best epoch on validation is the last allowed one for {'; '.join(names)}."] * bool(names)
