"""A model on the validation part of a log; the test part is never read.

    python -m benchmarks.validation MODEL LOG [--preset NAME] [--set NAME=VALUE ...] [--seeds N] [--json FILE]

The epoch is chosen on validation, as by `segue run`, and the figures are those of this epoch, under the protocol
leave-one-out. Defaults of models are chosen by them. The JSON has the form of `segue run --json`, with "part":
"validation"; `docs/stored_runs.py` stores it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from segue.data.datasets import catalog
from segue.data.log import Log
from segue.evaluation.protocol import Protocol
from segue.evaluation.result import Result
from segue.evaluation.summary import summary
from segue.experiments.experiment import Experiment
from segue.experiments.repeated import mean_result
from segue.io import write_json
from segue.training.state import Training

METRICS = ("recall@10", "ndcg@10")


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("model")
    made.add_argument("log", help="a named data set")
    made.add_argument("--preset", help="of the model; by default its default settings")
    made.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the model")
    made.add_argument("--seeds", type=int, default=1, help="number of trainings, with the seeds 0, 1, and so on")
    made.add_argument(
        "--request-time", choices=["unknown", "known"], default="unknown", help="whether models may read it"
    )
    made.add_argument("--json", type=Path, help="file for the figures")
    return made


def main() -> None:
    """Train and validate."""
    arguments = parser().parse_args()
    experiment = Experiment(
        model=arguments.model,
        protocol=Protocol.named("leave-one-out").with_settings({"request_time": arguments.request_time}),
        preset=arguments.preset,
        settings=dict(setting.split("=", 1) for setting in arguments.set),
    )
    log = catalog.load_log(arguments.log)
    trained = [validated(replace(experiment, seed=seed), log) for seed in range(arguments.seeds)]
    report(trained, experiment, arguments)


def report(trained: Sequence[tuple[Result, Training]], experiment: Experiment, arguments: argparse.Namespace) -> None:
    """Print the figures of some seeds, and write them to the file of --json."""
    content = summary([mean_result([result for result, _ in trained])], METRICS)
    for metric, figure in content["models"][0]["metrics"].items():
        print(f"{metric:10s} {figure['mean']:.4f}")
    if arguments.json:
        given = {name: value for name, value in vars(arguments).items() if name != "json"}
        about = {"protocol": experiment.as_dict()["protocol"], "settings": given, "seed": experiment.seed}
        about["all settings"] = experiment.all_settings
        epochs = [{"epochs": len(training.epochs), "best": training.best} for _, training in trained]
        repeated = [{"seed": seed, "training": one} for seed, one in enumerate(epochs)]
        if len(repeated) > 1:
            content["seeds"] = repeated
        write_json(arguments.json, {**content, "part": "validation", "experiment": about, "training": epochs[0]})


def validated(experiment: Experiment, log: Log) -> tuple[Result, Training]:
    """The figures of a training on the validation part."""
    split = experiment.split(log)
    model = experiment.build(log)
    training = experiment.select_epoch(model, split)
    result = Result(
        model=experiment.name,
        predictions=experiment.protocol.rank(model, split, "valid"),
        protocol=experiment.protocol,
        log=log.fingerprint,
        items=log.num_items,
        seconds=training.seconds,
        cpu_seconds=training.cpu_seconds,
    )
    return result, training


if __name__ == "__main__":
    main()
