"""What a paper prints beside what a run has: nothing that differs is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from segue.data import synthetic
from segue.errors import ConfigError
from segue.evaluation.protocols import PROTOCOLS
from segue.experiments.experiment import Experiment
from segue.papers.departures import departures
from segue.papers.learning_curves import learning_curves, unfinished_sentences
from segue.papers.methods import BlendedMethod, Method, printed_method
from segue.papers.printed import OneOf, compare_with_paper, grid, size_sentence
from segue.papers.reproduction import Reproduction, departure_table
from segue.papers.run_cache import RunCache

LOG = synthetic.markov(40, 12, 10, seed=1)
EXPERIMENT = Experiment(
    model="bprmf",
    protocol=PROTOCOLS["leave-one-out"],
    settings={"embedding_dim": 4, "epochs": 2, "batch_size": 32},
    refit=True,
)
PRINTED = {"embedding_dim": 4, "lr": OneOf((0.1, 0.01)), "refit": True}
METHOD = Method(name="BPR", experiment=EXPERIMENT, printed=PRINTED)


def changed(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, (int, float)) else f"{value} too"


def test_a_changed_setting_is_never_left_out() -> None:
    """Each setting in turn, all of them printed."""
    settings = {name: value for name, value in EXPERIMENT.all_settings.items() if name != "seed"}
    assert compare_with_paper(settings, settings) == ({}, {})
    for name, value in settings.items():
        comparison = compare_with_paper({**settings, name: changed(value)}, settings)
        assert comparison.departs == {name: {"here": changed(value), "paper": value}}
        printed = {other: value for other, value in settings.items() if other != name}
        assert compare_with_paper(settings, printed).open == {name: value}


def test_a_choice_departs_unless_the_same_values_were_tried() -> None:
    printed = {"lr": OneOf((0.1, 0.01))}
    assert compare_with_paper({"lr": 0.1}, printed, {"lr": [0.01, 0.1]}) == ({}, {})
    assert compare_with_paper({"lr": 0.1}, printed, {"lr": [0.1, 0.2]}).describe() == (
        "lr 0.1, chosen from 0.1, 0.2 (paper: one of 0.1, 0.01)"
    )
    assert compare_with_paper({"lr": 0.1}, printed).describe() == "lr 0.1 (paper: one of 0.1, 0.01)"


def test_a_printed_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"printed setting 'dims' is none of the run's, did you mean 'dim'\?"):
        compare_with_paper({"dim": 1}, {"dims": 2})


def test_the_list_of_departures() -> None:
    baseline = replace(METHOD, name="Unreported", printed=None)
    other, wide = (
        replace(METHOD, name="Other"),
        replace(METHOD, experiment=replace(EXPERIMENT, settings={**EXPERIMENT.settings, "embedding_dim": 8})),
    )
    listed = departures({"A": [METHOD, baseline, other], "B": [METHOD, other], "C": [wide]})
    lr, left_open = "lr 0.005 (paper: one of 0.1, 0.01)", listed[0]["open"]
    assert left_open.startswith("epochs 2, batch_size 32, ")
    assert left_open.endswith(" settings at their defaults")
    assert listed == (
        {"methods": "BPR; Other", "parts": "A; B", "departs": lr, "open": left_open},
        {"methods": "BPR", "parts": "C", "departs": f"embedding_dim 8 (paper 4), {lr}", "open": left_open},
    )
    made = Reproduction(title="T", rows=(), departures=listed)
    table = departure_table(made.as_dict())
    assert table[2] == ["BPR", "C", f"embedding_dim 8 (paper 4), {lr}", left_open]
    assert len(table) == 3
    assert departure_table(Reproduction(title="T", rows=()).as_dict()) == []


def test_a_method_as_printed_tries_what_the_paper_chose_from_and_nothing_where_it_chose_nothing() -> None:
    """What the experiment has itself departs from the paper, and is not tried."""
    experiment = replace(EXPERIMENT, settings={"epochs": 2})
    chosen = printed_method("BPR", experiment, {**PRINTED, "refit": False})
    assert (chosen.experiment.settings, chosen.experiment.refit) == ({"embedding_dim": 4, "epochs": 2}, False)
    assert chosen.trials == ({"lr": 0.1}, {"lr": 0.01})
    assert printed_method("BPR", experiment, {"lr": 0.1}).trials == ()
    own = printed_method("BPR", replace(experiment, settings={"lr": 0.5}), PRINTED)
    assert (own.trials, own.experiment.settings) == ((), {"embedding_dim": 4, "lr": 0.5})


def test_a_long_grid_is_shortened() -> None:
    printed = {"lr": OneOf((1e-5, 1e-4, 1e-3, 0.01))}
    text = compare_with_paper({"lr": 0.1}, printed).describe()
    assert text == "lr 0.1 (paper: one of 4 from 1e-05 to 0.01)"


def test_sizes() -> None:
    printed = {"users": 1_000, "items": 7}
    assert size_sentence("Log", printed, printed) == "Log: 1,000 users, 7 items: as the paper prints."
    assert size_sentence("Log", {"users": 999, "items": 7}, printed) == (
        "Log: 999 users (paper 1,000), 7 items: not the paper's numbers."
    )


@pytest.mark.parametrize("refit", [True, False])
def test_validation_chooses_among_trials(refit: bool, tmp_path: Path) -> None:
    runs, experiment = RunCache(tmp_path), replace(EXPERIMENT, refit=refit)
    trials = ({"lr": 1e-6}, {"lr": 0.1}, {"lr": 1e-5})
    method = replace(METHOD, experiment=experiment, trials=trials)
    result = method.run(LOG, runs)
    alone = [
        replace(METHOD, experiment=replace(experiment, settings={**experiment.settings, **trial})).run(LOG, runs)
        for trial in trials
    ]
    best = max(alone, key=lambda one: one.selection.metric or 0)
    assert result.selection == best.selection
    assert result.runs[0].mean("recall@10") == best.runs[0].mean("recall@10")
    assert isinstance(result.method, Method)
    assert result.method.experiment == best.method.experiment  # type: ignore[union-attr]
    content = result.as_dict()
    assert [trial["trial"] for trial in content["trials"]] == list(trials)
    assert [trial["validation"] for trial in content["trials"]] == [one.selection.metric for one in alone]
    assert content["departs"]["lr"]["tried"] == [1e-6, 0.1, 1e-5]
    quick = method.run(LOG, runs, epochs=1)
    assert quick.method.as_dict()["settings"]["lr"] == 1e-6


def test_learning_curves(tmp_path: Path) -> None:
    results = [METHOD.run(LOG, RunCache(tmp_path))]
    picture = learning_curves(results, name="curves", title="Curves", metric="y", from_loss=lambda loss: -loss)
    selection = results[0].selection
    assert len(selection.losses) == len(selection.validation_curve) == 2
    assert [(row["epoch"], row["y"], row["method"]) for row in picture.rows] == [
        *((epoch, metric, "BPR") for epoch, metric in selection.validation_curve),
        *((epoch, -loss, "BPR, training") for epoch, loss in enumerate(selection.losses, 1)),
    ]
    first, last = (replace(results[0], selection=replace(results[0].selection, epochs=epoch)) for epoch in (1, 2))
    assert unfinished_sentences("A", [first]) == []
    assert unfinished_sentences("A", [first, last]) == [
        "A: the best epoch on validation is the last allowed one for BPR."
    ]


@pytest.mark.parametrize("refit", [True, False])
def test_a_method_without_epochs_has_trials(refit: bool, tmp_path: Path) -> None:
    method = Method(
        name="KNN",
        experiment=Experiment(model="item-knn", protocol=PROTOCOLS["leave-one-out"], refit=refit),
        trials=grid(num_neighbours=(1, 5)),
    )
    runs = RunCache(tmp_path)
    result = method.run(LOG, runs)
    metrics = [trial.selection.metric for trial in result.trials]
    assert None not in metrics
    assert metrics[0] != metrics[1]
    assert isinstance(result.method, Method)
    assert result.method.experiment.settings == method.trials[int(metrics[1] > metrics[0])]  # type: ignore[operator]


def test_a_blend_has_the_chosen_trials_of_its_parts(tmp_path: Path) -> None:
    knn = Method(
        name="KNN",
        experiment=Experiment(model="item-knn", protocol=PROTOCOLS["leave-one-out"], refit=True),
        trials=grid(num_neighbours=(1, 5)),
    )
    parts = (knn, replace(METHOD, trials=grid(lr=(1e-6, 0.1))))
    runs = RunCache(tmp_path)
    chosen = [part.with_best_trial(LOG, runs)[0] for part in parts]
    blend = BlendedMethod(name="both", parts=parts).run(LOG, runs)
    expected = BlendedMethod(name="both", parts=(chosen[0], chosen[1])).run(LOG, RunCache(tmp_path / "other"))
    assert blend.runs[0].mean("recall@10") == expected.runs[0].mean("recall@10")
    assert blend.selection == expected.selection


def test_a_trial_that_diverges_is_left_out(tmp_path: Path) -> None:
    method = replace(METHOD, trials=grid(lr=(1e38, 0.01)))
    result = method.run(LOG, RunCache(tmp_path))
    assert [trial.selection.metric is None for trial in result.trials] == [True, False]
    assert result.method.as_dict()["settings"]["lr"] == 0.01


def test_the_form_of_the_paper_is_made_from_what_it_prints() -> None:
    base = replace(EXPERIMENT, settings={"epochs": 3, "batch_size": 64}, refit=False)
    printed = {"embedding_dim": 4, "batch_size": 32, "lr": OneOf((0.1, 0.01)), "l2": OneOf((1.0, 2.0)), "refit": True}
    method = printed_method("BPR", base, printed, seeds=(1, 2))
    assert (method.name, method.seeds) == ("BPR, as the paper says", (1, 2))
    assert method.experiment.settings == {"embedding_dim": 4, "batch_size": 64, "epochs": 3}
    assert method.experiment.refit
    assert method.trials == grid(lr=(0.1, 0.01), l2=(1.0, 2.0))
    assert method.comparison is not None
    assert method.comparison.departs == {"batch_size": {"here": 64, "paper": 32}}
    few = printed_method("BPR", base, printed, trials=grid(lr=(0.1,)))
    assert few.comparison is not None
    assert set(few.comparison.departs) == {"batch_size", "lr", "l2"}
