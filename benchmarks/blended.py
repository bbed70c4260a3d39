"""Two models that are trained and blended, as one figure.

    python -m benchmarks.blended FIRST SECOND LOG [--preset NAME] [--set NAME=VALUE ...] [--refit] [--json FILE]

FIRST has the settings of --first-preset and --first-set, and SECOND those of --preset and --set. The weight and the
epoch are chosen on validation, and with --refit both models are then trained on training and validation data
(`segue.experiments.blend`). The JSON has the form of `segue run --json`, and the model is the blend, which --out saves;
`docs/stored_runs.py` stores the figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segue.data.datasets import catalog
from segue.evaluation.protocol import Protocol
from segue.evaluation.summary import summary
from segue.experiments.blend import Blended, blend
from segue.experiments.experiment import Experiment
from segue.io import write_json
from segue.serving.saved_model import save


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("first")
    made.add_argument("second")
    made.add_argument("log", help="a named data set or a file")
    made.add_argument("--first-preset", help="of the first model")
    made.add_argument("--first-set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the first model")
    made.add_argument("--preset", help="of the second model")
    made.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the second model")
    made.add_argument("--protocol", default="leave-one-out", help="as in `segue run`")
    made.add_argument("--monitor", default="ndcg@10", help="as in `segue run`")
    made.add_argument("--metrics", nargs="+", default=["recall@10", "ndcg@10"], help="to show and to store")
    made.add_argument("--sample-users", type=int, help="as in `segue run`")
    made.add_argument("--leak", choices=("keep", "drop"), help="as in `segue run`")
    made.add_argument("--eval-every", type=int, default=1, help="as in `segue run`")
    made.add_argument("--patience", type=int, default=10, help="as in `segue run`")
    made.add_argument("--refit", action="store_true", help="as in `segue run`")
    made.add_argument("--out", type=Path, help="folder that the blend is saved to")
    made.add_argument("--json", type=Path, help="file for the figures")
    return made


def experiments(given: argparse.Namespace) -> tuple[Experiment, Experiment]:
    """The two models that the options describe."""
    protocol = Protocol.named(given.protocol)
    changed = {"sample_users": given.sample_users, "leak": given.leak}
    protocol = protocol.with_settings({name: value for name, value in changed.items() if value})
    protocol = protocol.with_cut_offs(sorted({int(metric.partition("@")[2]) for metric in given.metrics}))
    shared: dict[str, Any] = {"protocol": protocol, "monitor": given.monitor, "refit": given.refit}
    second = Experiment(
        model=given.second,
        preset=given.preset,
        settings=named(given.set),
        eval_every=given.eval_every,
        patience=given.patience,
        **shared,
    )
    first = Experiment(model=given.first, preset=given.first_preset, settings=named(given.first_set), **shared)
    return first, second


def named(settings: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE as a dictionary."""
    return dict(setting.split("=", 1) for setting in settings)


def content(blended: Blended, given: argparse.Namespace) -> dict[str, Any]:
    """The figures of the blend, and all that they depend on."""
    about = blended.about()
    return {
        **summary([blended.result], given.metrics),
        "experiment": {
            "model": "blend",
            "protocol": about["experiment"]["protocol"],
            "settings": {name: value for name, value in vars(given).items() if name not in ("json", "out")},
            "seed": 0,
        },
        "training": about["training"],
    }


def main() -> None:
    """Train, blend and test."""
    given = parser().parse_args()
    log = catalog.load_log(given.log)
    blended = blend(*experiments(given), log)
    found = content(blended, given)
    for metric, figure in found["models"][0]["metrics"].items():
        print(f"{metric:10s} {figure['mean']:.4f}, weight of {given.second} {blended.selection.weight:g}")
    if given.out:
        save(blended.model, log, given.out, **blended.about())
    if given.json:
        write_json(given.json, found)


if __name__ == "__main__":
    main()
