"""HCRNN's Figures 4 to 7 and Table 4: contexts, gates and attention of HCRNN, with those of NARM.

Song, Cha and Moon, AAAI 2019, "Qualitative Analysis". Genres and titles are those of MovieLens; what the paper measures
on CiteULike is measured there too. HCRNN is `hcrnn-running`, which processes a sequence in one pass, so all figures are
of the same steps. Batches have 16 sequences: on validation of CiteULike, NARM is better with 16 than with 128.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.data.datasets import catalog
from segue.data.log import Floats, Ids, Log, Mask
from segue.evaluation.protocol import Protocol
from segue.evaluation.significance import interval
from segue.experiments.experiment import Experiment
from segue.models.sequential.hcrnn.model import HCRNN
from segue.papers.hcrnn.embedding_map import NUM_NEAREST, EmbeddingSpace, tsne
from segue.papers.hcrnn.gates import (
    ALPHA,
    ATTENTION,
    CHANGE,
    DRIFT,
    LOCAL_ATTENTION,
    LOCAL_CHANGE,
    NARM_ATTENTION,
    NARM_RESET,
    RESET,
    RESET_DRIFT,
    THETA,
    SequenceGates,
    read_gates,
)
from segue.papers.hcrnn.genres import Genres
from segue.papers.methods import QUICK_EPOCHS
from segue.papers.reproduction import Picture, Reproduction, Row
from segue.papers.run_cache import RunCache
from segue.reporting.console import say
from segue.serving.saved_model import SavedModel

LOGS = {"CiteULike": "citeulike", "MovieLens": "hcrnn-movielens"}
FILMS = "MovieLens"
_EPOCHS = {"CiteULike": 10, "MovieLens": 5}  # at most
PROTOCOL = Protocol.named("session")
TRAINED: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "HCRNN": ("hcrnn-running", "author", {"batch_size": 16, "lr": 0.005}),
    "NARM": ("narm", "hcrnn", {"batch_size": 16, "lr": 0.003}),
}
# published for CiteULike: mean and standard deviation over steps
METHODS: dict[str, tuple[float, ...]] = {
    CHANGE: (0.278, 0.037),
    LOCAL_CHANGE: (0.005, 0.024),
    RESET_DRIFT: (0.29, 0.021),
    NARM_RESET: (),
    THETA: (),
    ALPHA: (),
}
GATES = (RESET_DRIFT, RESET, DRIFT, NARM_RESET)
CHANNELS = (LOCAL_ATTENTION, ATTENTION, NARM_ATTENTION)
UNIFORM = "uniform attention"
MIN_LENGTH, NUM_NEWEST = 20, 5  # of sequences whose attention is shown; newest items that are summed
MAX_STREAK, STREAK = 8, "films of one genre before"  # the longest streak that is shown; the label of the axis
CASE_LENGTH, MIN_AFTER = 20, 3  # items of the case study's sequence; minimal number of items after the break
_COLUMNS = (NARM_ATTENTION, LOCAL_ATTENTION, ATTENTION, NARM_RESET, RESET, DRIFT)

Streaks = tuple[Ids, Mask]


@dataclass(frozen=True, eq=False)
class LogAnalysis:
    """The trained models of a log, and their gates for the sequence of each test user."""

    title: str
    log: Log
    models: Mapping[str, SavedModel]
    hcrnn: HCRNN
    sequences: Sequence[SequenceGates]

    def all_steps(self, name: str) -> Floats:
        """(n,) the values of all steps of all sequences; NaN is left out."""
        values = np.concatenate([sequence.values[name] for sequence in self.sequences])
        return values[~np.isnan(values)]


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Train two models on two logs and analyse their gates step by step."""
    tsne()  # raises an error before the training if scikit-learn is missing
    analyses = [analyse(title, _experiments_on(title, quick=quick), runs) for title in LOGS]
    films = next(analysis for analysis in analyses if analysis.title == FILMS)
    genres = Genres.of(films.log)
    streaks = [genres.streaks(sequence.items) for sequence in films.sequences]
    space = EmbeddingSpace.of(films.hcrnn, genres)
    context_genres = space.context_genres()
    map_title = "HCRNN on MovieLens: films by genre, and global contexts"
    rows = [
        *(row for analysis in analyses for row in accuracy_rows(analysis)),
        *(row for analysis in analyses for row in mean_rows(analysis)),
        *_genre_rows(films, streaks),
        *(row for analysis in analyses for row in newest_rows(analysis)),
        *_embedding_rows(space),
    ]
    pictures = [
        space.picture("hcrnn-figure4", map_title),
        *(_streak_picture(films, streaks, gate) for gate in (RESET_DRIFT, NARM_RESET)),
        *(attention_picture(analysis) for analysis in analyses),
        _case_picture(films, streaks, genres),
    ]
    return Reproduction(
        title="HCRNN (AAAI 2019), Figures 4 to 7 and Table 4",
        rows=tuple(rows),
        notes=(
            *quick_note(quick),
            *_NOTES,
            *(training_note(analysis) for analysis in analyses),
            *(f"Table 4: {space.describe(pair, films.log)}." for pair in context_genres),
        ),
        pictures=tuple(pictures),
        details={"quick": quick, "log": list(LOGS.values()), "runs": {a.title: run_details(a) for a in analyses}},
    )


CHANGE_NOTE = (
    "A change is the mean over units of |h_t - h_(t-1)|, or of c, at every item but the first. Gates are means over "
    "units; deviations are over steps. The paper does not define its change."
)
ATTENTION_NOTE = f"Attention is that for the item after the last one, in sequences of at least {MIN_LENGTH} items."
_NOTES = (
    "HCRNN is HCRNN-3 with two attention channels, whose theta is computed anew at each step (hcrnn-running, preset "
    "author). NARM is the baseline of HCRNN's program. Both were trained once, for few epochs, on the train part. "
    "Gates are recorded for the whole sequences of the test users.",
    CHANGE_NOTE,
    "Same genre: the item has the genre that the largest possible number of items right before it share; this number "
    "is the streak. Differences are means over users, ± half of their bootstrapped 95% interval.",
    ATTENTION_NOTE,
    f"Figure 7: the test sequence of {CASE_LENGTH} films with the longest streak that ends at least {MIN_AFTER} films "
    "before the end. Colours range from the minimum to the maximum of a column.",
)


def quick_note(quick: bool) -> list[str]:
    """The first note of a quick version."""
    return [f"QUICK: at most {QUICK_EPOCHS} epoch of each model: gates and contexts are hardly trained."] * quick


def _experiments_on(title: str, *, quick: bool) -> dict[str, Experiment]:
    epochs = QUICK_EPOCHS if quick else _EPOCHS[title]
    return {
        name: Experiment(
            model=model,
            preset=preset,
            protocol=PROTOCOL,
            settings={**settings, "epochs": epochs},
            monitor="recall@20",
            patience=2,
        )
        for name, (model, preset, settings) in TRAINED.items()
    }


def analyse(title: str, experiments: Mapping[str, Experiment], runs: RunCache) -> LogAnalysis:
    """Train "HCRNN" and "NARM" by their experiments on a log, and read their gates."""
    log = catalog.load_log(LOGS[title])
    models = {}
    for name, experiment in experiments.items():
        say(f"{name} on {title}")
        models[name] = runs.train_model(experiment, log)
    hcrnn, narm = models["HCRNN"].model, models["NARM"].model
    assert isinstance(hcrnn, HCRNN)
    return LogAnalysis(title, log, models, hcrnn, read_gates(PROTOCOL.split(log), hcrnn, narm))


def training_note(analysis: LogAnalysis) -> str:
    """A note on the epochs that validation chose."""
    trainings = {name: saved.about["training"] for name, saved in analysis.models.items()}
    chosen = [
        f"{name} epoch {training['best']} of {training['epochs']}, recall@20 {training['validation']['recall@20']:.4f}"
        for name, training in trainings.items()
    ]
    return f"{analysis.title}, on validation: {'; '.join(chosen)}."


def _row(method: str, metric: str, value: float, published: float | None = None) -> Row:
    return Row(method=method, metric=metric, measured=(float(value),), published=published)


def accuracy_rows(analysis: LogAnalysis) -> list[Row]:
    """The test accuracy of both models."""
    by_model = {name: saved.about["results"]["models"][0]["metrics"] for name, saved in analysis.models.items()}
    return [
        _row(f"{name}, recall@10", analysis.title, metrics["recall@10"]["mean"]) for name, metrics in by_model.items()
    ]


def mean_rows(analysis: LogAnalysis) -> list[Row]:
    """The mean change of the contexts, and the mean gates."""
    rows = []
    for name, published in METHODS.items():
        values = analysis.all_steps(name)
        mean, deviation = published if published and analysis.title == "CiteULike" else (None, None)
        rows.append(_row(name, analysis.title, values.mean(), mean))
        rows.append(_row(f"± {name}", analysis.title, values.std(), deviation))
    return rows


def _embedding_rows(space: EmbeddingSpace) -> list[Row]:
    """Figure 4 as numbers."""
    (nearest, any_two), (contexts, directions) = space.genre_sharing(), space.nearest_cosines()
    figures = {
        f"share a genre: a film and its {NUM_NEAREST} nearest": nearest,
        "share a genre: any two films": any_two,
        "cosine: a global context and its nearest film": contexts,
        "cosine: a random direction and its nearest film": directions,
    }
    return [_row(name, FILMS, value) for name, value in figures.items()]


def _genre_rows(analysis: LogAnalysis, streaks: Sequence[Streaks]) -> list[Row]:
    """Figure 5b: gates at items that continue the genre of the streak, and at items that do not."""
    rows = []
    for gate in GATES:
        values = [sequence.values[gate] for sequence in analysis.sequences]
        continues = [value[(length > 0) & same] for value, (length, same) in zip(values, streaks, strict=True)]
        breaks = [value[(length > 0) & ~same] for value, (length, same) in zip(values, streaks, strict=True)]
        difference = np.array(
            [a.mean() - b.mean() for a, b in zip(continues, breaks, strict=True) if len(a) and len(b)]
        )
        low, high = interval(difference)
        rows += [
            _row(f"{gate}, same genre", analysis.title, np.concatenate(continues).mean()),
            _row(f"{gate}, another genre", analysis.title, np.concatenate(breaks).mean()),
            _row(f"{gate}, difference", analysis.title, difference.mean()),
            _row(f"± {gate}, difference", analysis.title, (high - low) / 2),
        ]
    return rows


def _streak_picture(analysis: LogAnalysis, streaks: Sequence[Streaks], gate: str) -> Picture:
    """Figure 5a: a gate by the length of the streak."""
    length, same = (np.concatenate(part) for part in zip(*streaks, strict=True))
    value = np.concatenate([sequence.values[gate] for sequence in analysis.sequences])
    lengths = [len(sequence.items) for sequence in analysis.sequences]
    user = np.repeat([sequence.user for sequence in analysis.sequences], lengths)
    rows = []
    for name, side in (("same genre", same), ("another genre", ~same)):
        for count in range(1, MAX_STREAK + 1):
            selected = (length == count) & side
            if selected.any():
                low, high = interval(value[selected], user[selected])
                rows.append({STREAK: count, gate: float(value[selected].mean()), "low": low, "high": high, "of": name})
    title = f"{analysis.title}: {gate} after a streak of one genre"
    encoding = {"x": STREAK, "y": gate, "by": "of", "between": ("low", "high"), "title": title}
    model = "narm" if gate == NARM_RESET else "hcrnn"
    return Picture(name=f"hcrnn-figure5-{model}", kind="line", rows=tuple(rows), encoding=encoding)


def _long_sequences(analysis: LogAnalysis) -> list[SequenceGates]:
    return [sequence for sequence in analysis.sequences if len(sequence.items) >= MIN_LENGTH]


def newest_rows(analysis: LogAnalysis) -> list[Row]:
    """The share of the attention that the newest items get."""
    long = _long_sequences(analysis)
    shares = {name: np.mean([sequence.values[name][-NUM_NEWEST:].sum() for sequence in long]) for name in CHANNELS}
    shares[UNIFORM] = np.mean([NUM_NEWEST / len(sequence.items) for sequence in long])
    return [_row(f"last {NUM_NEWEST} items: {name}", analysis.title, share) for name, share in shares.items()]


def attention_picture(analysis: LogAnalysis) -> Picture:
    """Figure 6a: the mean attention by the distance from the end of the sequence."""
    long = _long_sequences(analysis)
    means = {name: np.mean([sequence.values[name][-MIN_LENGTH:] for sequence in long], axis=0) for name in CHANNELS}
    means[UNIFORM] = np.full(MIN_LENGTH, np.mean([1 / len(sequence.items) for sequence in long]))
    rows = [
        {"items from the end": MIN_LENGTH - place, "attention": float(value), "of": name}
        for name, values in means.items()
        for place, value in enumerate(values)
    ]
    title = f"{analysis.title}: attention to the items of a sequence"
    encoding = {"x": "items from the end", "y": "attention", "by": "of", "title": title}
    return Picture(name=f"hcrnn-figure6-{analysis.title.lower()}", kind="line", rows=tuple(rows), encoding=encoding)


def _case_picture(analysis: LogAnalysis, streaks: Sequence[Streaks], genres: Genres) -> Picture:
    """Figure 7: gates and attention in one sequence."""
    broken_streaks = [int((length * ~same)[:-MIN_AFTER].max(initial=0)) for length, same in streaks]
    candidates = [index for index, sequence in enumerate(analysis.sequences) if len(sequence.items) == CASE_LENGTH]
    sequence = analysis.sequences[max(candidates, key=lambda index: broken_streaks[index])]
    titles = analysis.log.titles(sequence.items)
    rows = [
        {
            "film": f"{place}. {title}: {genres.names_of(item)}",
            "of": name,
            "value": float(sequence.values[name][place - 1]),
        }
        for name in (*_COLUMNS, LOCAL_CHANGE, CHANGE)
        for place, (title, item) in enumerate(zip(titles, sequence.items, strict=True), 1)
    ]
    encoding = {"x": "of", "y": "film", "value": "value", "title": "A user of MovieLens, film by film"}
    return Picture(name="hcrnn-figure7", kind="heat", rows=tuple(rows), encoding=encoding)


def run_details(analysis: LogAnalysis) -> dict[str, Any]:
    """Details for the result file: how the models were trained."""
    return {name: {**saved.about["experiment"], **saved.about["training"]} for name, saved in analysis.models.items()}
