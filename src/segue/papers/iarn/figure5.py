"""IARN's Figure 5: both histories of one rating, and how far the gate of each step is open.

The paper shows a viewer of "The Lost World: Jurassic Park", and finds adventures and action let in, dramas left out.
Here it is somebody who rated that film in the last tenth of MovieLens 1M; `segue explain` shows any other pair.
"""

from __future__ import annotations

from collections.abc import Sequence

from segue.data.datasets import catalog
from segue.explain.rating import RatingExplanation, Step, explain_meeting, said
from segue.papers.iarn.common import LARGE, QUICK, hurried
from segue.papers.reproduction import Picture, Reproduction, Row
from segue.papers.run_cache import RunCache

USER, ITEM = "137", "1544"
LAST = 20  # steps of either side that are shown
GATE, LENDS = "gate", "lends"
METHODS: dict[str, str] = {}  # its lines are steps
SIDES = {"history": "What the user had met", "audience": "Who had met the item"}


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Train IARN up to the validation part, and ask for one rating of the test."""
    log = catalog.load(LARGE.log)
    recipe = LARGE.network_recipe(**({"epochs": QUICK} if quick else {}))
    model = runs.model(recipe, log).model
    found = explain_meeting(model, log, user=USER, item=ITEM, last=LAST)
    sides = {name: _side(found, name) for name in SIDES}
    return Reproduction(
        title="IARN (CIKM 2017), Figure 5: the gates of one rating",
        rows=tuple(row for name, steps in sides.items() for row in _rows(SIDES[name], steps)),
        notes=(
            *hurried(quick),
            f"{LARGE.title}: {said(found)}",
            f"The gates are those of this pair; {LENDS} is what the expected rating would have less without the step. "
            f"Of each side its last {LAST} steps at most, oldest first.",
        ),
        pictures=tuple(_picture(name, found.title, steps) for name, steps in sides.items()),
        details={"quick": quick, "log": LARGE.log, "user": USER, "item": ITEM},
    )


def _side(found: RatingExplanation, name: str) -> list[tuple[str, Step]]:
    """The steps of one history with names that differ."""
    steps: Sequence[Step] = getattr(found, name)
    return [(f"{place}. {step.title}", step) for place, step in enumerate(steps, 1)]


def _rows(part: str, steps: Sequence[tuple[str, Step]]) -> list[Row]:
    """What is told of each step."""
    rows = []
    for name, step in steps:
        told = {GATE: step.gates.get(GATE), LENDS: step.lends, "rated": step.rating}
        rows += [
            Row(method=name, metric=metric, ours=(value,), part=part)
            for metric, value in told.items()
            if value is not None
        ]
    return rows


def _picture(name: str, title: str, steps: Sequence[tuple[str, Step]]) -> Picture:
    bars = tuple({"step": step, GATE: told.gates[GATE]} for step, told in steps if told.gates.get(GATE) is not None)
    encoding = {"x": GATE, "y": "step", "title": f"{SIDES[name]}: {title}"}
    return Picture(name=f"iarn-figure5-{name}", kind="bar", rows=bars, encoding=encoding)
