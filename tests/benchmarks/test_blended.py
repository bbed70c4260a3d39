"""The trial that trains two models and blends them."""

from __future__ import annotations

from benchmarks.blended import content, experiments, parser

from segue.data import synthetic
from segue.evaluation.task import mean_metric
from segue.experiments.blend import blend


def test_the_options_describe_both_models() -> None:
    given = parser().parse_args(
        [
            "vs-knn",
            "core",
            "log",
            "--preset",
            "ave",
            "--set",
            "epochs=3",
            "--protocol",
            "session",
            "--monitor",
            "mrr@20",
            "--refit",
        ]
    )
    first, second = experiments(given)
    assert (first.model, first.preset, dict(first.settings)) == ("vs-knn", None, {})
    assert (second.model, second.preset, dict(second.settings)) == ("core", "ave", {"epochs": "3"})
    assert first.protocol == second.protocol
    for one in (first, second):
        assert (one.protocol.name, one.monitor, one.refit) == ("session", "mrr@20", True)


def test_the_figures_are_those_of_the_blend() -> None:
    given = parser().parse_args(
        [
            "seq-knn",
            "item-knn",
            "log",
            "--set",
            "num_neighbours=5",
            "--metrics",
            "recall@5",
            "mrr@20",
            "--json",
            "f.json",
        ]
    )
    log = synthetic.markov(60, 17, 12, seed=1, shortest=4)
    blended = blend(*experiments(given), log)
    found = content(blended, given)
    (model,) = found["models"]
    assert set(model["metrics"]) == {"recall@5", "mrr@20"}
    assert model["metrics"]["mrr@20"]["mean"] == mean_metric(blended.result.predictions, "mrr@20")
    assert found["training"]["weights"]["weight"] == blended.selection.weight
    assert "json" not in found["experiment"]["settings"]
