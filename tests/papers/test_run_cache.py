"""Trainings are kept, found again, taken up where they were interrupted, and never mistaken for one another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segue.config import Config
from segue.data import synthetic
from segue.errors import DataError
from segue.evaluation.metrics import measure
from segue.evaluation.protocol import Protocol
from segue.experiments import experiment as recipe_module
from segue.experiments.blend import blend
from segue.experiments.experiment import Experiment
from segue.models.factorization.bprmf import BPRMF, BPRMFConfig
from segue.papers import methods
from segue.papers.methods import Blended, Method, carry_out
from segue.papers.run_cache import Run, RunCache

LOG = synthetic.markov(40, 15, 12, seed=1, shortest=6)
HGN = Protocol.named("hgn")
SMALL = {"embedding_dim": 4, "epochs": 6, "batch_size": 64, "lr": 0.05}
RECIPE = Experiment(model="bprmf", protocol=HGN, settings=SMALL, eval_every=2, patience=2, refit=True)
COUNTED = Experiment(model="pop", protocol=HGN, refit=True)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was really trained, in order."""
    done: list[str] = []
    fit = recipe_module.fit

    def watched(model: Any, *args: Any, **options: Any) -> Any:
        done.append(model.name)
        return fit(model, *args, **options)

    monkeypatch.setattr(recipe_module, "fit", watched)
    return done


def same(one: Run, two: Run) -> bool:
    fields = ("user", "rank", "offsets", "top")
    return all(np.array_equal(getattr(one.ranks, f), getattr(two.ranks, f)) for f in fields)


def test_a_run_is_what_the_recipe_alone_gives(tmp_path: Path) -> None:
    run = RunCache(tmp_path).final(RECIPE, LOG, 3)
    outcome = RECIPE.final(LOG, 3)
    assert np.array_equal(run.ranks.rank, outcome.result.ranks.rank)
    assert run.mean("ndcg@10") == pytest.approx(measure(outcome.result.ranks, "ndcg@10").mean())
    assert (run.seed, run.epochs) == (0, 3)
    assert run.seconds > 0


def test_a_run_is_kept_whole(tmp_path: Path, trained: list[str]) -> None:
    first = RunCache(tmp_path).final(RECIPE, LOG, 3)
    second = RunCache(tmp_path).final(RECIPE, LOG, 3)
    assert trained == ["bprmf"]
    assert same(first, second)
    assert first.ranks.dropped == second.ranks.dropped
    assert (first.ranks.depth, first.seconds, first.cpu_seconds) == (
        second.ranks.depth,
        second.seconds,
        second.cpu_seconds,
    )
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".npz"}


def test_what_a_person_reads_in_the_file_is_true(tmp_path: Path) -> None:
    run = RunCache(tmp_path).final(RECIPE, LOG, 3)
    kept = json.loads(next(tmp_path.glob("final-*.json")).read_text())
    assert kept["means"]["recall@5"] == run.mean("recall@5")
    assert kept["decides"]["settings"] == {"embedding_dim": 4, "batch_size": 64, "lr": 0.05}
    assert kept["configs"][0]["l2"] == BPRMFConfig().l2


def test_a_choice_is_kept_whole(tmp_path: Path, trained: list[str]) -> None:
    first = RunCache(tmp_path).choose(RECIPE, LOG)
    second = RunCache(tmp_path).choose(RECIPE, LOG)
    assert first == second
    assert trained == ["bprmf"]
    assert [epoch for epoch, _ in first.course] == [2, 4, 6][: len(first.course)]
    assert first.metric == max(metric for _, metric in first.course)
    assert dict(first.course)[first.epochs] == first.metric


@pytest.mark.parametrize(
    "other",
    [
        lambda r, log: (replace(r, seed=1), log, 3),
        lambda r, log: (replace(r, settings={**SMALL, "embedding_dim": 5}), log, 3),
        lambda r, log: (replace(r, protocol=Protocol.named("leave-one-out")), log, 3),
        lambda r, log: (replace(r, protocol=replace(HGN, ks=(5, 10))), log, 3),
        lambda r, log: (r, synthetic.markov(40, 15, 12, seed=2, shortest=6), 3),
        lambda r, log: (r, log, 4),
        lambda r, log: (replace(r, model="hgn"), log, 3),
    ],
)
def test_whatever_decides_a_number_makes_another_run(tmp_path: Path, trained: list[str], other: Any) -> None:
    runs = RunCache(tmp_path)
    runs.final(RECIPE, LOG, 3)
    runs.final(*other(RECIPE, LOG))
    assert len(trained) == 2


def test_what_decides_nothing_makes_no_other(tmp_path: Path, trained: list[str]) -> None:
    """How the epochs were chosen is nothing to the run, nor is a default that is spelled out."""
    runs = RunCache(tmp_path)
    runs.final(RECIPE, LOG, 3)
    runs.final(replace(RECIPE, patience=7, settings={**SMALL, "epochs": 50, "l2": BPRMFConfig().l2}), LOG, 3)
    assert trained == ["bprmf"]


def test_a_changed_default_is_noticed(tmp_path: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    RunCache(tmp_path).final(RECIPE, LOG, 3)
    known = Config.as_dict
    monkeypatch.setattr(BPRMFConfig, "as_dict", lambda self: {**known(self), "l2": 0.5})
    RunCache(tmp_path).final(RECIPE, LOG, 3)
    assert len(trained) == 2


def test_a_new_setting_changes_nothing(tmp_path: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    RunCache(tmp_path).final(RECIPE, LOG, 3)
    known = Config.as_dict
    monkeypatch.setattr(BPRMFConfig, "as_dict", lambda self: {**known(self), "newly": "there"})
    RunCache(tmp_path).final(RECIPE, LOG, 3)
    assert len(trained) == 1


def test_fresh_trains_anew(tmp_path: Path, trained: list[str]) -> None:
    first = RunCache(tmp_path).final(RECIPE, LOG, 3)
    assert same(RunCache(tmp_path, fresh=True).final(RECIPE, LOG, 3), first)
    assert len(trained) == 2


@pytest.mark.parametrize("task", ["choose", "final"])
def test_an_interrupted_training_is_taken_up(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = getattr(RunCache(tmp_path / "whole"), task)
    expected = whole(RECIPE, LOG) if task == "choose" else whole(RECIPE, LOG, 6)
    drawn: list[int] = []
    real = BPRMF.batches

    def interrupted(self: Any, log: Any, rng: Any) -> Any:
        drawn.append(1)
        if len(drawn) == 4:
            raise KeyboardInterrupt
        return real(self, log, rng)

    monkeypatch.setattr(BPRMF, "batches", interrupted)
    runs = RunCache(tmp_path / "cut")
    arguments = (RECIPE, LOG) if task == "choose" else (RECIPE, LOG, 6)
    with pytest.raises(KeyboardInterrupt):
        getattr(runs, task)(*arguments)
    found = getattr(runs, task)(*arguments)
    assert len(drawn) < 10, "the second time does not begin at the beginning"
    assert found.course == expected.course if task == "choose" else same(found, expected)
    assert not [path for path in (tmp_path / "cut").iterdir() if path.is_dir()]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    RunCache(tmp_path).final(RECIPE, LOG, 3)
    path = next(tmp_path.glob("*.json"))
    path.write_text(path.read_text()[:50])
    with pytest.raises(DataError, match=rf"{path.name}: cannot be read .*; delete it to run it anew"):
        RunCache(tmp_path).final(RECIPE, LOG, 3)


def test_the_usual_place_is_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGUE_CACHE", str(tmp_path))
    assert RunCache().folder == tmp_path / "runs"


# ---------------------------------------------------------------------------------------- methods


def test_the_first_seed_chooses_for_all(tmp_path: Path) -> None:
    runs = RunCache(tmp_path)
    line = Method(name="BPRMF", recipe=RECIPE, seeds=(3, 4), paper={"recall@10": 0.1}).carry_out(LOG, runs)
    assert line.choice == runs.choose(replace(RECIPE, seed=3), LOG)
    assert [(run.seed, run.epochs) for run in line.runs] == [(3, line.choice.epochs), (4, line.choice.epochs)]
    row = line.row("recall@10")
    assert row.ours == tuple(run.mean("recall@10") for run in line.runs)
    assert (row.paper, line.row("ndcg@10").paper) == (0.1, None)
    expected = (measure(line.runs[0].ranks, "ndcg@5") + measure(line.runs[1].ranks, "ndcg@5")) / 2
    assert line.values("ndcg@5") == pytest.approx(expected)
    assert json.loads(json.dumps(line.about()))["seeds"] == [3, 4]


def test_counted_models_need_no_choice(tmp_path: Path, trained: list[str]) -> None:
    line = Method(name="POP", recipe=COUNTED).carry_out(LOG, RunCache(tmp_path))
    assert (line.choice.epochs, line.choice.metric, trained) == (0, None, ["pop"])


def test_epochs_that_are_not_chosen_are_those_of_the_settings(tmp_path: Path, trained: list[str]) -> None:
    line = Method(name="BPRMF", recipe=RECIPE, chosen=False).carry_out(LOG, RunCache(tmp_path))
    assert (line.choice.epochs, line.choice.metric, trained) == (6, None, ["bprmf"])


def test_a_small_version_takes_one_seed_and_few_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(methods, "say", said.append)
    wanted = [Method(name="POP", recipe=COUNTED), Method(name="BPRMF", recipe=RECIPE, seeds=(0, 1, 2))]
    lines = carry_out(wanted, LOG, RunCache(tmp_path), epochs=2)
    assert [[run.epochs for run in line.runs] for line in lines] == [[0], [2]]
    assert said == ["run 1 of 2: POP", "run 2 of 2: BPRMF"]


def test_a_blend_is_kept_whole(tmp_path: Path, trained: list[str]) -> None:
    first, second = Method(name="Item-KNN", recipe=replace(COUNTED, model="item-knn")), Method(name="MF", recipe=RECIPE)
    both = Blended(name="both", parts=(first, second))
    line = both.carry_out(LOG, RunCache(tmp_path))
    assert sorted(trained) == ["bprmf", "bprmf", "item-knn", "item-knn"]
    made = blend(first.recipe, second.recipe, LOG)
    trained.clear()
    again = both.carry_out(LOG, RunCache(tmp_path))
    assert trained == []
    assert again.choice == line.choice
    assert (line.choice.weight, line.choice.metric) == (made.choice.weight, max(made.choice.values.values()))
    assert np.array_equal(again.runs[0].ranks.rank, made.result.ranks.rank)
    assert json.loads(json.dumps(again.about()))["blend of"] == ["Item-KNN", "MF"]


def test_a_blend_of_other_parts_is_another(tmp_path: Path, trained: list[str]) -> None:
    first, second = Method(name="POP", recipe=COUNTED), Method(name="MF", recipe=RECIPE)
    Blended(name="both", parts=(first, second)).carry_out(LOG, RunCache(tmp_path))
    trained.clear()
    Blended(name="both", parts=(first, second)).carry_out(LOG, RunCache(tmp_path), epochs=2)
    assert len(trained) == 4, "fewer epochs make another blend"


def test_without_refit_the_best_epoch_is_tested(tmp_path: Path, trained: list[str]) -> None:
    recipe = replace(RECIPE, refit=False)
    choice, run = RunCache(tmp_path).best(recipe, LOG)
    outcome = recipe.run(LOG)
    assert np.array_equal(run.ranks.rank, outcome.result.ranks.rank)
    assert (choice.epochs, choice.metric) == (outcome.training.best, outcome.training.metric)
    again = RunCache(tmp_path).best(recipe, LOG)
    assert trained == ["bprmf", "bprmf"]
    assert again[0] == choice
    assert same(again[1], run)


def test_a_model_is_kept_to_be_read(tmp_path: Path, trained: list[str]) -> None:
    recipe = replace(RECIPE, seed=2)
    first, second = (RunCache(tmp_path).model(recipe, LOG) for _ in range(2))
    assert trained == ["bprmf"]
    outcome = replace(recipe, refit=False).run(LOG)
    for name, weight in outcome.model.state_dict().items():
        assert torch.equal(first.model.state_dict()[name], weight)
        assert torch.equal(second.model.state_dict()[name], weight)
    assert second.about["training"]["best"] == outcome.training.best
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".model"}
    trained.clear()
    RunCache(tmp_path).model(replace(recipe, patience=1), LOG)
    RunCache(tmp_path, fresh=True).model(recipe, LOG)
    assert trained == ["bprmf", "bprmf"]


def test_a_model_that_is_gone_is_trained_again(tmp_path: Path, trained: list[str]) -> None:
    RunCache(tmp_path).model(COUNTED, LOG)
    shutil.rmtree(next(tmp_path.glob("model-*.model")))
    assert RunCache(tmp_path).model(COUNTED, LOG).model.name == "pop"
    assert trained == ["pop", "pop"]


def test_each_seed_has_its_own_best_epoch(tmp_path: Path) -> None:
    recipe = replace(RECIPE, refit=False)
    line = Method(name="MF", recipe=recipe, seeds=(0, 1)).carry_out(LOG, RunCache(tmp_path))
    assert [run.seed for run in line.runs] == [0, 1]
    for run in line.runs:
        assert run.epochs == replace(recipe, seed=run.seed).run(LOG).training.best
    counted = Method(name="POP", recipe=replace(COUNTED, refit=False)).carry_out(LOG, RunCache(tmp_path))
    assert counted.choice.epochs == 0
