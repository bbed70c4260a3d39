"""The metrics of each part of a saved hybrid alone, and of several ways to pool them, on the test part of its log.

    python -m benchmarks.hybrid_parts LOG [--model FOLDER] [--metrics NAME ...] [--json FILE]

The parts are those of the hybrid, so the network has not learnt from the rows that were held out. The JSON has the form
of `segue run --json --by`, with these groups:

    NAME                    each part alone
    product, equal shares   the geometric mean of their distributions
    mixture, equal shares   the arithmetic mean
    no features             the pool with the shares of an average request
    hybrid                  the whole model
    best part               each instance has the figure of the part that is best there: no choice of a part does better
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from segue.data.datasets import catalog
from segue.data.log import Floats
from segue.evaluation.result import Result
from segue.evaluation.significance import interval
from segue.evaluation.summary import summary
from segue.evaluation.task import measure
from segue.experiments.saved_models import evaluate_saved
from segue.io import write_json
from segue.models.hybrid.model import Hybrid
from segue.nn.opinion_pool import OWN_FEATURES, Opinion, OpinionPool
from segue.serving.saved_model import load


class FixedPool(nn.Module):
    """A pool that has learnt nothing: a function of the logarithms of the probabilities of the parts, (B, I) each."""

    def __init__(self, pool: Callable[[list[Tensor]], Tensor]) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, opinions: Sequence[Opinion]) -> Tensor:
        """The scores of the items."""
        return self.pool([opinion.log_probabilities for opinion in opinions])


def without_features(pool: OpinionPool) -> OpinionPool:
    """The pool with the shares and the sharpness of a request whose features are the means of the examples."""
    averaged = OpinionPool(len(pool.weight), len(pool.mean) - OWN_FEATURES * len(pool.weight))
    averaged.load_state_dict(pool.state_dict())
    averaged.weight_of_features.zero_()
    averaged.log_tau_of_features.zero_()
    return averaged


def pools(model: Hybrid) -> Iterator[tuple[str, nn.Module]]:
    """Each part alone, and four pools, with their names."""
    for k, part in enumerate(model.parts):
        yield part.name, FixedPool(lambda opinions, k=k: opinions[k])
    yield "product, equal shares", FixedPool(lambda opinions: torch.stack(opinions).mean(0))
    yield "mixture, equal shares", FixedPool(lambda opinions: torch.stack(opinions).logsumexp(0))
    yield "no features", without_features(model.pool)
    yield "hybrid", model.pool


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("log", help="a named data set or a file")
    made.add_argument("--model", default="models/hybrid", help="folder of a saved hybrid")
    made.add_argument("--metrics", nargs="+", default=["recall@10", "ndcg@10"])
    made.add_argument("--json", type=Path, help="file for the figures")
    return made


def main() -> None:
    """Measure, print and write."""
    given = parser().parse_args()
    saved, log = load(given.model), catalog.load_log(given.log)
    model = saved.model
    assert isinstance(model, Hybrid)
    results = dict[str, Result]()
    with torch.no_grad():
        for name, pool in list(pools(model)):  # all of them before the first takes the place of the model's own
            model.pool = pool  # type: ignore[assignment]
            results[name] = evaluate_saved(saved, log)
    rows = [row for metric in given.metrics for row in rows_of(results, metric, len(model.parts))]
    for row in rows:
        print(f"{row['metric']:10s} {row['mean']:.4f}  {row['group']}")
    if given.json:
        about = {
            "experiment": {
                "model": "hybrid",
                "protocol": saved.about["experiment"]["protocol"],
                "settings": {"log": given.log, "metrics": given.metrics},
                "seed": 0,
                "trained by": saved.about["experiment"],
            },
            "training": saved.about["training"],
        }
        write_json(given.json, {**summary([results["hybrid"]], given.metrics), **about, "by part": rows})


def rows_of(results: Mapping[str, Result], metric: str, num_parts: int) -> list[dict[str, str | float]]:
    """The mean of a metric in each group, with its interval; the first `num_parts` results are those of the parts."""
    values: dict[str, Floats] = {name: measure(result.predictions, metric) for name, result in results.items()}
    values["best part"] = np.max(list(values.values())[:num_parts], axis=0)
    rows = []
    for name, found in values.items():
        low, high = interval(found)
        mean = float(found.mean())
        rows.append({"group": name, "metric": metric, "instances": len(found), "mean": mean, "low": low, "high": high})
    return rows


if __name__ == "__main__":
    main()
