"""A model on the validation part of a log; the test part is never read.

    python -m benchmarks.validation MODEL LOG [--preset NAME] [--set NAME=VALUE ...] [--json FILE]

The epoch is chosen on validation, as by `segue run`, and the figures are those of this epoch, under the protocol
leave-one-out. Defaults of models are chosen by them. The JSON has the form of `segue run --json`, with "part":
"validation"; `docs/stored_runs.py` stores it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from segue.data.datasets import catalog
from segue.evaluation.protocol import Protocol
from segue.evaluation.result import Result
from segue.evaluation.summary import summary
from segue.experiments.experiment import Experiment
from segue.io import write_json

METRICS = ("recall@10", "ndcg@10")


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("model")
    made.add_argument("log", help="a named data set")
    made.add_argument("--preset", help="of the model; by default its default settings")
    made.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the model")
    made.add_argument("--json", type=Path, help="file for the figures")
    return made


def main() -> None:
    """Train and validate."""
    arguments = parser().parse_args()
    experiment = Experiment(
        model=arguments.model,
        protocol=Protocol.named("leave-one-out"),
        preset=arguments.preset,
        settings=dict(setting.split("=", 1) for setting in arguments.set),
    )
    log = catalog.load_log(arguments.log)
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
    content = summary([result], METRICS)
    for metric, figure in content["models"][0]["metrics"].items():
        print(f"{metric:10s} {figure['mean']:.4f}")
    if arguments.json:
        given = {name: value for name, value in vars(arguments).items() if name != "json"}
        about = {"protocol": experiment.as_dict()["protocol"], "settings": given, "seed": experiment.seed}
        about["all settings"] = experiment.all_settings
        trained = {"epochs": len(training.epochs), "best": training.best}
        write_json(arguments.json, {**content, "part": "validation", "experiment": about, "training": trained})


if __name__ == "__main__":
    main()
