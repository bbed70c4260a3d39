"""IARN's Figure 3: the error of its backbones, by how long both histories are at least.

The paper trains on logs of long histories alone; here each backbone is trained once, and what is varied is which of the
test's ratings are asked about: those whose user and item have both met so many before the date.
"""

from __future__ import annotations

from dataclasses import replace

from segue.papers.iarn.common import LARGE, SMALL, Place, about, hurried, lead, lengths, sentence
from segue.papers.methods import Line, Method
from segue.papers.reproduction import Picture, Reproduction, Row
from segue.papers.run_cache import RunCache

LENGTHS = (3, 10, 20, 30, 50, 100)
BACKBONES = {"RNN-backbone": "rnn", "LSTM-backbone": "lstm", "TAGM-backbone": "tagm", "IARN-Plain": "iarn"}
FEWEST = 100  # ratings that an error is told of
PLACES = (SMALL, LARGE)


def methods(place: Place) -> tuple[Method, ...]:
    """The backbones, alike in all else."""
    recipes = {name: place.network_recipe(backbone=backbone) for name, backbone in BACKBONES.items()}
    return tuple(place.method(name, recipe, seeds=place.seeds) for name, recipe in recipes.items())


METHODS = methods(SMALL)


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Train every backbone, and look at its errors where histories are long."""
    lines = {place.title: place.lines(methods(place), runs, quick=quick) for place in PLACES}
    rows = [row for place in PLACES for row in _rows(place, lines[place.title])]
    tests = [{**lead(some[-1], other), "part": title} for title, some in lines.items() for other in some[:-1]]
    return Reproduction(
        title="IARN (CIKM 2017), Figure 3: the backbones, by the length of histories",
        rows=tuple(rows),
        notes=(
            *hurried(quick),
            "RMSE of the test's ratings whose user and item have both met at least so many before the date; the same "
            "trainings throughout. The paper prints no figures, and filters its logs before it trains.",
            *(f"{place.title}: {place.protocol.describe()}" for place in PLACES),
            *(sentence(test["part"], test) for test in tests),
        ),
        pictures=tuple(_picture(place, rows) for place in PLACES),
        details={**about(lines, quick=quick), "tests": tests},
    )


def _rows(place: Place, lines: list[Line]) -> list[Row]:
    """The RMSE of each line, of histories of at least each length; none where there are few."""
    shortest = lengths(place)
    told = [least for least in LENGTHS if (shortest >= least).sum() >= FEWEST]
    return [
        replace(line.row("rmse", shortest >= least), metric=f"rmse, {least} or more", part=place.title)
        for line in lines
        for least in told
    ]


def _picture(place: Place, rows: list[Row]) -> Picture:
    told = [
        {"shortest history": int(row.metric.split()[1]), "RMSE": row.mean, "backbone": row.method}
        for row in rows
        if row.part == place.title
    ]
    encoding = {"x": "shortest history", "y": "RMSE", "by": "backbone", "title": f"Backbones, {place.title}"}
    return Picture(name=f"iarn-figure3-{place.log}", kind="line", rows=tuple(told), encoding=encoding)
