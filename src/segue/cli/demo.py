"""`segue demo`: data, training, evaluation and recommendation on MovieLens 100K in a few minutes."""

from __future__ import annotations

from pathlib import Path

from segue.cli.check_outputs import check_outputs
from segue.cli.output import OUTPUT_DEFAULTS, OutputOptions, finish, show
from segue.reporting.console import say

_USER = 42
BASELINES = ("pop", "item-knn", "seq-knn", "bprmf")
# the recbole preset with the paper's pooling and window: 5 items rank better on validation than 50, in fewer epochs
_HGN_SETTINGS = {"pooling": "avg", "window": 5, "windows_per_row": 4, "lr": 3e-3}


def demo(*, output: OutputOptions = OUTPUT_DEFAULTS) -> None:
    """Download MovieLens 100K, train five models, compare and save them, and recommend ten films to a user with HGN.

    The models are saved to the folder models.
    """
    from segue.cli.recommendations_table import last_titles, recommendation_tables
    from segue.data.datasets import catalog
    from segue.evaluation.protocol import Protocol
    from segue.experiments.experiment import Experiment
    from segue.serving.query import make_query
    from segue.serving.recommend import recommend
    from segue.serving.saved_model import check_target, load, save

    folder = output.out or Path("models")
    protocol = Protocol.named("leave-one-out")
    experiments = [
        *(Experiment(model=name, protocol=protocol, baseline=True) for name in BASELINES),
        Experiment(model="hgn", protocol=protocol, preset="recbole", settings=_HGN_SETTINGS),
    ]
    for experiment in experiments:
        check_target(folder / experiment.model)
        check_outputs({"--json": output.json}, folder / experiment.model)
    log = catalog.load_log("ml-100k")
    results = []
    for experiment in experiments:
        outcome = experiment.run(log)
        save(outcome.model, log, folder / experiment.model, **outcome.about())
        results.append(outcome.result)
    saved = load(folder / "hgn")
    query, recommended = make_query(saved.log, _USER), recommend(saved.model, saved.log, user=_USER, k=10)
    finish(results, json=output.json)
    show(*recommendation_tables(recommended, last_titles(saved.log, query), _USER))
    say(f"saved to {folder}; next: segue recommend {folder / 'hgn'} --user 7, or segue run hgn YOUR.csv")
