"""HCRNN's Figures 4 to 7 and Table 4: what its contexts, gates and attention do, NARM's beside them.

Song, Cha and Moon, AAAI 2019, "Qualitative Analysis". Genres and titles are MovieLens's; what the paper measures on
CiteULike is measured there too. HCRNN is `hcrnn-running`, which reads a sequence in one walk, so that all figures are
of the same steps. Batches are of 16: on CiteULike's validation part NARM did better so than with 128.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.data.datasets import catalog
from segue.data.log import Ids, Log
from segue.evaluation.protocol import Protocol
from segue.evaluation.significance import interval
from segue.experiments.experiment import Experiment
from segue.models.sequential.hcrnn.model import HCRNN
from segue.papers.hcrnn.embedding_map import CLOSEST, Space, tsne
from segue.papers.hcrnn.gates import (
    ALPHA,
    ATTENTION,
    CHANGE,
    DRIFT,
    KEPT,
    LOCAL_ATTENTION,
    LOCAL_CHANGE,
    NARM_ATTENTION,
    NARM_RESET,
    RESET,
    THETA,
    ReadingOptions,
    Values,
    read,
)
from segue.papers.hcrnn.genres import Flags, Genres
from segue.papers.reproduction import Picture, Reproduction, Row
from segue.papers.run_cache import RunCache
from segue.reporting.console import say
from segue.serving.saved_model import SavedModel

LOGS = {"CiteULike": "citeulike", "MovieLens": "hcrnn-movielens"}
FILMS = "MovieLens"
EPOCHS = {"CiteULike": 10, "MovieLens": 5}  # at most
QUICK = 1
PROTOCOL = Protocol.named("session")
TRAINED: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "HCRNN": ("hcrnn-running", "author", {"batch_size": 16, "lr": 0.005}),
    "NARM": ("narm", "hcrnn", {"batch_size": 16, "lr": 0.003}),
}
# what the paper prints of CiteULike: a mean over steps, and its deviation
METHODS: dict[str, tuple[float, ...]] = {
    CHANGE: (0.278, 0.037),
    LOCAL_CHANGE: (0.005, 0.024),
    KEPT: (0.29, 0.021),
    NARM_RESET: (),
    THETA: (),
    ALPHA: (),
}
GATES = (KEPT, RESET, DRIFT, NARM_RESET)
CHANNELS = (LOCAL_ATTENTION, ATTENTION, NARM_ATTENTION)
EVEN = "the same to all"
LONG, NEAR = 20, 5  # items of the sequences whose attention is shown, at least; the newest of them
LONGEST, BEFORE = 8, "films of one genre before"  # of the streaks that are drawn
CASE, AFTER = 20, 3  # items of the sequence of the case study; those behind the break, at least
COLUMNS = (NARM_ATTENTION, LOCAL_ATTENTION, ATTENTION, NARM_RESET, RESET, DRIFT)

Streaks = tuple[Ids, Flags]


@dataclass(frozen=True, eq=False)
class Told:
    """What trained models tell of a log: a reading for each of its test users."""

    title: str
    log: Log
    models: Mapping[str, SavedModel]
    hcrnn: HCRNN
    readings: Sequence[ReadingOptions]

    def all(self, name: str) -> Values:
        """(n,) one number a step, of all sequences; steps without one are left out."""
        found = np.concatenate([reading.told[name] for reading in self.readings])
        return found[~np.isnan(found)]


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Two models on two logs, read step by step."""
    tsne()  # what is missing is said before anything is trained
    told = [_tell(title, runs, quick=quick) for title in LOGS]
    films = next(one for one in told if one.title == FILMS)
    genres = Genres.of(films.log)
    streaks = [genres.streaks(reading.items) for reading in films.readings]
    space = Space.of(films.hcrnn, genres)
    aligned = space.aligned()
    map_title = "HCRNN on MovieLens: films by genre, and global contexts"
    rows = [
        *(row for one in told for row in _reached(one)),
        *(row for one in told for row in _means(one)),
        *_by_genre(films, streaks),
        *(row for one in told for row in _newest(one)),
        *_placed(space),
    ]
    pictures = [
        space.picture("hcrnn-figure4", map_title),
        *(_by_streak(films, streaks, gate) for gate in (KEPT, NARM_RESET)),
        *(_attention(one) for one in told),
        _case(films, streaks, genres),
    ]
    return Reproduction(
        title="HCRNN (AAAI 2019), Figures 4 to 7 and Table 4",
        rows=tuple(rows),
        notes=(
            *([f"QUICK: at most {QUICK} epoch of each model: gates and contexts are hardly trained."] if quick else []),
            *NOTES,
            *(_trained(one) for one in told),
            *(f"Table 4: {space.told(one, films.log)}." for one in aligned),
        ),
        pictures=tuple(pictures),
        details={"quick": quick, "log": list(LOGS.values()), "runs": {one.title: _about(one) for one in told}},
    )


NOTES = (
    "HCRNN is HCRNN-3 with two channels of attention whose theta is taken anew at each step (hcrnn-running, preset "
    "author), NARM the baseline of HCRNN's program. Both were trained once, for few epochs, on the train part; what is "
    "read are the whole sequences of the test users.",
    "A change is the mean over units of |h_t - h_(t-1)|, or of c, at every item but the first; gates are means over "
    "units; a deviation is over steps. The paper does not define its change.",
    "The same genre: an item has the genre that as many items as possible right before it have in common; their "
    "number is the streak. A difference is the mean over users of theirs, ± half its 95% interval, bootstrapped.",
    f"Attention is that of the question behind the last item of sequences of {LONG} items and more.",
    f"Figure 7: of the test sequences of {CASE} films, the one in which the longest streak ends and at least {AFTER} "
    "films follow the one that ends it. Colours go from the least to the most of a column.",
)


def _tell(title: str, runs: RunCache, *, quick: bool) -> Told:
    log = catalog.load(LOGS[title])
    models = {}
    for name, (model, preset, settings) in TRAINED.items():
        say(f"{name} on {title}")
        recipe = Experiment(
            model=model,
            preset=preset,
            protocol=PROTOCOL,
            settings={**settings, "epochs": QUICK if quick else EPOCHS[title]},
            monitor="recall@20",
            patience=2,
        )
        models[name] = runs.model(recipe, log)
    hcrnn, narm = models["HCRNN"].model, models["NARM"].model
    assert isinstance(hcrnn, HCRNN)
    return Told(title, log, models, hcrnn, read(PROTOCOL.split(log), hcrnn, narm))


def _trained(told: Told) -> str:
    """Which epoch validation chose."""
    found = {name: saved.about["training"] for name, saved in told.models.items()}
    words = [
        f"{name} epoch {how['best']} of {how['epochs']}, recall@20 {how['validation']['recall@20']:.4f}"
        for name, how in found.items()
    ]
    return f"{told.title}, on validation: {'; '.join(words)}."


def _row(method: str, metric: str, value: float, paper: float | None = None) -> Row:
    return Row(method=method, metric=metric, ours=(float(value),), paper=paper)


def _reached(told: Told) -> list[Row]:
    """How good the models are."""
    found = {name: saved.about["results"]["models"][0]["metrics"] for name, saved in told.models.items()}
    return [_row(f"{name}, recall@10", told.title, metrics["recall@10"]["mean"]) for name, metrics in found.items()]


def _means(told: Told) -> list[Row]:
    """How far contexts move, and how much of h gates let through."""
    rows = []
    for name, printed in METHODS.items():
        values = told.all(name)
        mean, deviation = printed if printed and told.title == "CiteULike" else (None, None)
        rows.append(_row(name, told.title, values.mean(), mean))
        rows.append(_row(f"± {name}", told.title, values.std(), deviation))
    return rows


def _placed(space: Space) -> list[Row]:
    """Figure 4 in numbers."""
    (near, any_two), (contexts, directions) = space.alike(), space.reach()
    found = {
        f"share a genre: a film and its {CLOSEST} closest": near,
        "share a genre: any two films": any_two,
        "cosine: a global context and its closest film": contexts,
        "cosine: a random direction and its closest film": directions,
    }
    return [_row(name, FILMS, value) for name, value in found.items()]


def _by_genre(told: Told, streaks: Sequence[Streaks]) -> list[Row]:
    """Figure 5b: gates where the genre stays, and where it does not."""
    rows = []
    for gate in GATES:
        values = [reading.told[gate] for reading in told.readings]
        stays = [value[(length > 0) & same] for value, (length, same) in zip(values, streaks, strict=True)]
        goes = [value[(length > 0) & ~same] for value, (length, same) in zip(values, streaks, strict=True)]
        lead = np.array(
            [one.mean() - two.mean() for one, two in zip(stays, goes, strict=True) if len(one) and len(two)]
        )
        low, high = interval(lead)
        rows += [
            _row(f"{gate}, same genre", told.title, np.concatenate(stays).mean()),
            _row(f"{gate}, another genre", told.title, np.concatenate(goes).mean()),
            _row(f"{gate}, difference", told.title, lead.mean()),
            _row(f"± {gate}, difference", told.title, (high - low) / 2),
        ]
    return rows


def _by_streak(told: Told, streaks: Sequence[Streaks], gate: str) -> Picture:
    """Figure 5a."""
    length, same = (np.concatenate(part) for part in zip(*streaks, strict=True))
    value = np.concatenate([reading.told[gate] for reading in told.readings])
    user = np.repeat([reading.user for reading in told.readings], [len(reading.items) for reading in told.readings])
    rows = []
    for name, side in (("same genre", same), ("another genre", ~same)):
        for count in range(1, LONGEST + 1):
            inside = (length == count) & side
            if inside.any():
                low, high = interval(value[inside], user[inside])
                rows.append({BEFORE: count, gate: float(value[inside].mean()), "low": low, "high": high, "of": name})
    title = f"{told.title}: {gate} behind a streak of one genre"
    encoding = {"x": BEFORE, "y": gate, "by": "of", "between": ("low", "high"), "title": title}
    model = "narm" if gate == NARM_RESET else "hcrnn"
    return Picture(name=f"hcrnn-figure5-{model}", kind="line", rows=tuple(rows), encoding=encoding)


def _long(told: Told) -> list[ReadingOptions]:
    return [reading for reading in told.readings if len(reading.items) >= LONG]


def _newest(told: Told) -> list[Row]:
    """What share of the attention the newest items get."""
    long = _long(told)
    shares = {name: np.mean([reading.told[name][-NEAR:].sum() for reading in long]) for name in CHANNELS}
    shares[EVEN] = np.mean([NEAR / len(reading.items) for reading in long])
    return [_row(f"last {NEAR} items: {name}", told.title, share) for name, share in shares.items()]


def _attention(told: Told) -> Picture:
    """Figure 6a."""
    long = _long(told)
    means = {name: np.mean([reading.told[name][-LONG:] for reading in long], axis=0) for name in CHANNELS}
    means[EVEN] = np.full(LONG, np.mean([1 / len(reading.items) for reading in long]))
    rows = [
        {"items from the end": LONG - place, "attention": float(value), "of": name}
        for name, values in means.items()
        for place, value in enumerate(values)
    ]
    title = f"{told.title}: attention to the items of a sequence"
    encoding = {"x": "items from the end", "y": "attention", "by": "of", "title": title}
    return Picture(name=f"hcrnn-figure6-{told.title.lower()}", kind="line", rows=tuple(rows), encoding=encoding)


def _case(told: Told, streaks: Sequence[Streaks], genres: Genres) -> Picture:
    """Figure 7."""
    broken = [int((length * ~same)[:-AFTER].max(initial=0)) for length, same in streaks]
    places = [place for place, reading in enumerate(told.readings) if len(reading.items) == CASE]
    reading = told.readings[max(places, key=lambda place: broken[place])]
    titles = told.log.titles(reading.items)
    rows = [
        {"film": f"{place}. {title}: {genres.listed(item)}", "of": name, "value": float(reading.told[name][place - 1])}
        for name in (*COLUMNS, LOCAL_CHANGE, CHANGE)
        for place, (title, item) in enumerate(zip(titles, reading.items, strict=True), 1)
    ]
    encoding = {"x": "of", "y": "film", "value": "value", "title": "A user of MovieLens, film by film"}
    return Picture(name="hcrnn-figure7", kind="heat", rows=tuple(rows), encoding=encoding)


def _about(told: Told) -> dict[str, Any]:
    """How the models came about."""
    return {name: {**saved.about["recipe"], **saved.about["training"]} for name, saved in told.models.items()}
