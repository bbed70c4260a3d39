"""Two models that are trained and blended, as one figure.

    python -m benchmarks.blended FIRST SECOND LOG [--preset NAME] [--set NAME=VALUE ...] [--refit] [--json FILE]

FIRST has its default settings, and SECOND those of --preset and --set. The weight and the epoch are chosen on
validation, and with --refit both models are then trained on training and validation data (`segue.experiments.blend`).
The JSON has the form of `segue run --json`, and the model is the blend; `docs/stored_runs.py` stores it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from segue.data.datasets import catalog
from segue.evaluation.protocol import Protocol
from segue.evaluation.summary import summary
from segue.experiments.blend import Blended, blend
from segue.experiments.experiment import Experiment
from segue.io import write_json


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("first")
    made.add_argument("second")
    made.add_argument("log", help="a named data set or a file")
    made.add_argument("--preset", help="of the second model")
    made.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the second model")
    made.add_argument("--protocol", default="leave-one-out", help="as in `segue run`")
    made.add_argument("--monitor", default="ndcg@10", help="as in `segue run`")
    made.add_argument("--metrics", nargs="+", default=["recall@10", "ndcg@10"], help="to show and to store")
    made.add_argument("--sample-users", type=int, help="as in `segue run`")
    made.add_argument("--eval-every", type=int, default=1, help="as in `segue run`")
    made.add_argument("--refit", action="store_true", help="as in `segue run`")
    made.add_argument("--json", type=Path, help="file for the figures")
    return made


def experiments(given: argparse.Namespace) -> tuple[Experiment, Experiment]:
    """The two models that the options describe."""
    protocol = Protocol.named(given.protocol)
    if given.sample_users:
        protocol = protocol.with_settings({"sample_users": given.sample_users})
    shared: dict[str, Any] = {"protocol": protocol, "monitor": given.monitor, "refit": given.refit}
    second = Experiment(
        model=given.second,
        preset=given.preset,
        settings=dict(setting.split("=", 1) for setting in given.set),
        eval_every=given.eval_every,
        **shared,
    )
    return Experiment(model=given.first, **shared), second


def content(blended: Blended, given: argparse.Namespace) -> dict[str, Any]:
    """The figures of the blend, and all that they depend on."""
    about = blended.about()
    return {
        **summary([blended.result], given.metrics),
        "experiment": {
            "model": "blend",
            "protocol": about["experiment"]["protocol"],
            "settings": {name: value for name, value in vars(given).items() if name != "json"},
            "seed": 0,
        },
        "training": about["training"],
    }


def main() -> None:
    """Train, blend and test."""
    given = parser().parse_args()
    blended = blend(*experiments(given), catalog.load_log(given.log))
    found = content(blended, given)
    for metric, figure in found["models"][0]["metrics"].items():
        print(f"{metric:10s} {figure['mean']:.4f}, weight of {given.second} {blended.selection.weight:g}")
    if given.json:
        write_json(given.json, found)


if __name__ == "__main__":
    main()
