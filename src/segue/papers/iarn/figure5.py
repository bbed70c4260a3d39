"""IARN's Figure 5: the gates of every step in both histories of one rating.

The paper shows a viewer of "The Lost World: Jurassic Park": the gates are open for adventure and action films, and
closed for dramas. Here it is a user who rated that film in the last tenth of MovieLens 1M. `segue explain` shows any
other pair of a user and an item.
"""

from __future__ import annotations

from collections.abc import Sequence

from segue.data.datasets import catalog
from segue.explain.rating import HistoryEvent, explain_rating
from segue.papers.iarn.common import ML_1M, quick_note
from segue.papers.methods import QUICK_EPOCHS
from segue.papers.reproduction import Picture, Reproduction, Row
from segue.papers.run_cache import RunCache

USER, ITEM = "137", "1544"
MAX_STEPS = 20  # of each history that are shown
GATE, CONTRIBUTION = "gate", "contribution"
METHODS: dict[str, str] = {}  # the rows are steps of the histories
TITLES = {"user-history": "User history: items rated before", "item-history": "Item history: users who rated it before"}


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Train IARN on the train part, and explain one rating of the test set."""
    log = catalog.load_log(ML_1M.log)
    experiment = ML_1M.iarn_experiment(**({"epochs": QUICK_EPOCHS} if quick else {}))
    model = runs.train_model(experiment, log).model
    explanation = explain_rating(model, log, user=USER, item=ITEM, last=MAX_STEPS, order="time")
    histories = {
        "user-history": _numbered(explanation.history.events),
        "item-history": _numbered(explanation.item_history.events),
    }
    return Reproduction(
        title="IARN (CIKM 2017), Figure 5: the gates of one rating",
        rows=tuple(row for name, steps in histories.items() for row in _rows(TITLES[name], steps)),
        notes=(
            *quick_note(quick),
            f"{ML_1M.title}: {explanation.summary()}",
            f"The gates are those of this pair. The {CONTRIBUTION} of a step is the expected rating minus the expected "
            f"rating without the step. At most the last {MAX_STEPS} steps of each history are shown, the oldest first.",
        ),
        pictures=tuple(_picture(name, explanation.title, steps) for name, steps in histories.items()),
        details={"quick": quick, "log": ML_1M.log, "user": USER, "item": ITEM},
    )


def _numbered(steps: Sequence[HistoryEvent]) -> list[tuple[str, HistoryEvent]]:
    """The steps of a history with unique names."""
    return [(f"{number}. {step.title}", step) for number, step in enumerate(steps, 1)]


def _rows(part: str, steps: Sequence[tuple[str, HistoryEvent]]) -> list[Row]:
    """The gate, the contribution and the rating of each step."""
    rows = []
    for name, step in steps:
        figures = {GATE: step.gates.get(GATE), CONTRIBUTION: step.contribution, "rated": step.rating}
        rows += [
            Row(method=name, metric=metric, measured=(value,), part=part)
            for metric, value in figures.items()
            if value is not None
        ]
    return rows


def _picture(name: str, title: str, steps: Sequence[tuple[str, HistoryEvent]]) -> Picture:
    bars = tuple({"step": label, GATE: step.gates[GATE]} for label, step in steps if step.gates.get(GATE) is not None)
    encoding = {"x": GATE, "y": "step", "title": f"{TITLES[name]}: {title}"}
    return Picture(name=f"iarn-figure5-{name}", kind="bar", rows=bars, encoding=encoding)
