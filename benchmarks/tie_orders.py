"""A model that is trained anew for each of some random orders of the events with the same time.

    python -m benchmarks.tie_orders MODEL LOG [--seeds 3] [--preset NAME] [--set NAME=VALUE ...] [--json FILE]

`segue run --tie-range` evaluates one trained network on other orders, and the network knows some of their targets from
its training. Here the log is split again for each order, the epoch is chosen, and the model is trained and tested, so
nothing is known. A seed decides the order and the training. The protocol is leave-one-out. The JSON has the form of
`segue run --json --seeds`; `docs/stored_runs.py` stores it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from segue.data.datasets import catalog
from segue.data.log import Log
from segue.evaluation.protocol import Protocol
from segue.evaluation.task import mean_metric
from segue.experiments.experiment import Experiment
from segue.experiments.tie_range import reordered
from segue.io import write_json

METRICS = ("recall@10", "ndcg@10")


def of_orders(experiment: Experiment, log: Log, seeds: int) -> dict[str, Any]:
    """The figures of an experiment on a random order of its own for each seed, and their mean.

    Raises:
        DataError: the log has no times.
    """
    outcomes = [replace(experiment, seed=seed).train_and_test(reordered(log, seed)[0]) for seed in range(seeds)]
    results = [outcome.result for outcome in outcomes]
    runs = {metric: [mean_metric(result.predictions, metric) for result in results] for metric in METRICS}
    return {
        "model": experiment.name,
        "instances": len(results[0].predictions),
        "cpu_seconds": sum(result.cpu_seconds or 0.0 for result in results) / seeds,
        "metrics": {metric: {"mean": sum(values) / seeds, "runs": values} for metric, values in runs.items()},
    }


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("model")
    made.add_argument("log", help="a named data set, or a file, with times")
    made.add_argument("--seeds", type=int, default=3, help="number of trainings, each on an order of its own")
    made.add_argument("--preset", help="of the model; by default its default settings")
    made.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the model")
    made.add_argument("--eval-every", type=int, default=1, help="as in `segue run`")
    made.add_argument("--patience", type=int, default=10, help="as in `segue run`")
    made.add_argument("--sample-users", type=int, help="as in `segue run`")
    made.add_argument("--refit", action="store_true", help="as in `segue run`")
    made.add_argument("--json", type=Path, help="file for the figures")
    return made


def main() -> None:
    """Train and test a model on every order."""
    given = parser().parse_args()
    protocol = Protocol.named("leave-one-out")
    experiment = Experiment(
        model=given.model,
        protocol=protocol.with_settings({"sample_users": given.sample_users}) if given.sample_users else protocol,
        preset=given.preset,
        settings=dict(setting.split("=", 1) for setting in given.set),
        eval_every=given.eval_every,
        patience=given.patience,
        refit=given.refit,
    )
    log = catalog.load_log(given.log)
    found = of_orders(experiment, log, given.seeds)
    for metric, figure in found["metrics"].items():
        print(f"{metric:10s} {figure['mean']:.4f} ({min(figure['runs']):.4f} to {max(figure['runs']):.4f})")
    if given.json:
        about = {
            "protocol": experiment.as_dict()["protocol"],
            "settings": {name: value for name, value in vars(given).items() if name != "json"},
            "seed": experiment.seed,
        }
        content = {
            "log": log.fingerprint,
            "instances": found["instances"],
            "models": [found],
            "experiment": {"model": experiment.name, **about},
            "seeds": [{"seed": seed} for seed in range(given.seeds)],
            "training": {},
        }
        write_json(given.json, content)


if __name__ == "__main__":
    main()
