"""The run cache: runs are stored, read again, resumed after an interruption, and never confused."""

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
from segue.errors import ArtefactError
from segue.evaluation.protocol import Protocol
from segue.evaluation.task import measure
from segue.experiments import experiment as experiment_module
from segue.experiments.blend import blend
from segue.experiments.experiment import Experiment
from segue.models.factorization.bprmf import BPRMF, BPRMFConfig
from segue.papers import methods
from segue.papers.methods import BlendedMethod, Method, MethodResult, run_methods
from segue.papers.run_cache import EpochSelection, Run, RunCache

LOG = synthetic.markov(40, 15, 12, seed=1, shortest=6)
HGN = Protocol.named("hgn")
SMALL = {"embedding_dim": 4, "epochs": 6, "batch_size": 64, "lr": 0.05}
EXPERIMENT = Experiment(model="bprmf", protocol=HGN, settings=SMALL, eval_every=2, patience=2, refit=True)
DIRECT = Experiment(model="pop", protocol=HGN, refit=True)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The models that were trained, in order."""
    done: list[str] = []
    fit = experiment_module.fit

    def watched(model: Any, *args: Any, **options: Any) -> Any:
        done.append(model.name)
        return fit(model, *args, **options)

    monkeypatch.setattr(experiment_module, "fit", watched)
    return done


def same(one: Run, two: Run) -> bool:
    fields = ("user", "rank", "offsets", "top")
    return all(np.array_equal(getattr(one.predictions, f), getattr(two.predictions, f)) for f in fields)


def test_a_run_has_the_result_of_its_experiment(tmp_path: Path) -> None:
    run = RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)
    outcome = EXPERIMENT.run_refit(LOG, 3)
    assert np.array_equal(run.predictions.rank, outcome.result.predictions.rank)
    assert run.mean("ndcg@10") == pytest.approx(measure(outcome.result.predictions, "ndcg@10").mean())
    assert (run.seed, run.epochs) == (0, 3)
    assert run.seconds > 0


def test_a_run_is_stored_completely(tmp_path: Path, trained: list[str]) -> None:
    first = RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)
    second = RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)
    assert trained == ["bprmf"]
    assert same(first, second)
    assert first.predictions.dropped == second.predictions.dropped
    assert (first.predictions.depth, first.seconds, first.cpu_seconds) == (
        second.predictions.depth,
        second.seconds,
        second.cpu_seconds,
    )
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".npz"}


def test_the_description_of_a_run_is_correct(tmp_path: Path) -> None:
    run = RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)
    stored = json.loads(next(tmp_path.glob("final-*.json")).read_text())
    assert stored["means"]["recall@5"] == run.mean("recall@5")
    assert stored["identity"]["settings"] == {"embedding_dim": 4, "batch_size": 64, "lr": 0.05}
    assert stored["configs"][0]["l2"] == BPRMFConfig().l2


def test_an_epoch_selection_is_stored_completely(tmp_path: Path, trained: list[str]) -> None:
    first = RunCache(tmp_path).select_epochs(EXPERIMENT, LOG)
    second = RunCache(tmp_path).select_epochs(EXPERIMENT, LOG)
    assert first == second
    assert trained == ["bprmf"]
    assert [epoch for epoch, _ in first.validation_curve] == [2, 4, 6][: len(first.validation_curve)]
    assert first.metric == max(metric for _, metric in first.validation_curve)
    assert dict(first.validation_curve)[first.epochs] == first.metric


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
def test_everything_that_changes_a_result_makes_another_run(tmp_path: Path, trained: list[str], other: Any) -> None:
    runs = RunCache(tmp_path)
    runs.run_refit(EXPERIMENT, LOG, 3)
    runs.run_refit(*other(EXPERIMENT, LOG))
    assert len(trained) == 2


def test_what_does_not_change_a_result_makes_no_other_run(tmp_path: Path, trained: list[str]) -> None:
    """The run does not depend on how its epochs were chosen, or on a setting that equals the default."""
    runs = RunCache(tmp_path)
    runs.run_refit(EXPERIMENT, LOG, 3)
    runs.run_refit(replace(EXPERIMENT, patience=7, settings={**SMALL, "epochs": 50, "l2": BPRMFConfig().l2}), LOG, 3)
    assert trained == ["bprmf"]


def test_a_changed_default_repeats_the_run(tmp_path: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)
    known = Config.as_dict
    monkeypatch.setattr(BPRMFConfig, "as_dict", lambda self: {**known(self), "l2": 0.5})
    RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)
    assert len(trained) == 2


def test_a_new_setting_does_not_repeat_the_run(
    tmp_path: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)
    known = Config.as_dict
    monkeypatch.setattr(BPRMFConfig, "as_dict", lambda self: {**known(self), "new_setting": 1})
    RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)
    assert len(trained) == 1


def test_overwrite_repeats_the_run(tmp_path: Path, trained: list[str]) -> None:
    first = RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)
    assert same(RunCache(tmp_path, overwrite=True).run_refit(EXPERIMENT, LOG, 3), first)
    assert len(trained) == 2


@pytest.mark.parametrize("task", ["select_epochs", "run_refit"])
def test_an_interrupted_training_is_resumed(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = getattr(RunCache(tmp_path / "whole"), task)
    expected = whole(EXPERIMENT, LOG) if task == "select_epochs" else whole(EXPERIMENT, LOG, 6)
    drawn: list[int] = []
    real = BPRMF.batches

    def interrupted(self: Any, log: Any, rng: Any) -> Any:
        drawn.append(1)
        if len(drawn) == 4:
            raise KeyboardInterrupt
        return real(self, log, rng)

    monkeypatch.setattr(BPRMF, "batches", interrupted)
    runs = RunCache(tmp_path / "interrupted")
    arguments = (EXPERIMENT, LOG) if task == "select_epochs" else (EXPERIMENT, LOG, 6)
    with pytest.raises(KeyboardInterrupt):
        getattr(runs, task)(*arguments)
    found = getattr(runs, task)(*arguments)
    assert len(drawn) < 10, "the second call does not start from the beginning"
    assert found.validation_curve == expected.validation_curve if task == "select_epochs" else same(found, expected)
    assert not [path for path in (tmp_path / "interrupted").iterdir() if path.is_dir()]


def test_the_error_names_a_damaged_file(tmp_path: Path) -> None:
    RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)
    path = next(tmp_path.glob("*.json"))
    path.write_text(path.read_text()[:50])
    with pytest.raises(ArtefactError, match=rf"{path.name}: damaged, not JSON .*; delete it to repeat the run"):
        RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)


@pytest.mark.parametrize(
    ("key", "value"),
    [("configs", None), ("configs", [{}, {}]), ("cost", {}), ("ranks", {"depth": "x"}), ("ranks", {}), ("cost", [1])],
)
def test_a_forged_run_is_an_error(tmp_path: Path, key: str, value: Any) -> None:
    RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)
    path = next(tmp_path.glob("*.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ArtefactError, match=rf"{path.stem}\.(json|npz): .*delete"):
        RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)


def test_a_run_without_its_predictions_is_an_error(tmp_path: Path) -> None:
    RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)
    next(tmp_path.glob("*.npz")).write_bytes(b"PK nonsense")
    with pytest.raises(ArtefactError, match=r"\.npz: damaged .*; delete it, and it is computed again"):
        RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)


def test_the_default_folder_is_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGUE_CACHE", str(tmp_path))
    assert RunCache().folder == tmp_path / "runs"


# ---------------------------------------------------------------------------------------- methods


def test_the_first_seed_chooses_the_epochs_of_all_seeds(tmp_path: Path) -> None:
    runs = RunCache(tmp_path)
    result = Method(name="BPRMF", experiment=EXPERIMENT, seeds=(3, 4), published={"recall@10": 0.1}).run(LOG, runs)
    assert result.selection == runs.select_epochs(replace(EXPERIMENT, seed=3), LOG)
    assert [(run.seed, run.epochs) for run in result.runs] == [
        (3, result.selection.epochs),
        (4, result.selection.epochs),
    ]
    row = result.row("recall@10")
    assert row.measured == tuple(run.mean("recall@10") for run in result.runs)
    assert (row.published, result.row("ndcg@10").published) == (0.1, None)
    expected = (measure(result.runs[0].predictions, "ndcg@5") + measure(result.runs[1].predictions, "ndcg@5")) / 2
    assert result.values("ndcg@5") == pytest.approx(expected)
    assert json.loads(json.dumps(result.as_dict()))["seeds"] == [3, 4]
    one, two = (
        replace(run, cpu_seconds=cpu, peak_mb=mb) for run, cpu, mb in zip(result.runs, (2.0, 4.0), (9, 7), strict=True)
    )
    costs = MethodResult(method=result.method, selection=result.selection, runs=(one, two)).costs
    assert (costs["cpu_seconds"], costs["peak_mb"]) == (3.0, 9)


def test_direct_models_need_no_epoch_selection(tmp_path: Path, trained: list[str]) -> None:
    result = Method(name="POP", experiment=DIRECT).run(LOG, RunCache(tmp_path))
    assert (result.selection.epochs, result.selection.metric, trained) == (0, None, ["pop"])


def test_epochs_of_the_settings_without_selection(tmp_path: Path, trained: list[str]) -> None:
    result = Method(name="BPRMF", experiment=EXPERIMENT, choose_epochs=False).run(LOG, RunCache(tmp_path))
    assert (result.selection.epochs, result.selection.metric, trained) == (6, None, ["bprmf"])


def test_the_quick_version_has_one_seed_and_few_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(methods, "say", lines.append)
    wanted_methods = [
        Method(name="POP", experiment=DIRECT),
        Method(name="BPRMF", experiment=EXPERIMENT, seeds=(0, 1, 2)),
    ]
    results = run_methods(wanted_methods, LOG, RunCache(tmp_path), epochs=2)
    assert [[run.epochs for run in result.runs] for result in results] == [[0], [2]]
    assert lines == ["run 1 of 2: POP", "run 2 of 2: BPRMF"]


def test_a_blend_is_stored_completely(tmp_path: Path, trained: list[str]) -> None:
    first, second = (
        Method(name="Item-KNN", experiment=replace(DIRECT, model="item-knn")),
        Method(name="MF", experiment=EXPERIMENT),
    )
    both = BlendedMethod(name="both", parts=(first, second))
    result = both.run(LOG, RunCache(tmp_path))
    assert sorted(trained) == ["bprmf", "bprmf", "item-knn", "item-knn"]
    outcome = blend(first.experiment, second.experiment, LOG)
    trained.clear()
    again = both.run(LOG, RunCache(tmp_path))
    assert trained == []
    assert again.selection == result.selection
    assert (result.selection.weight, result.selection.metric) == (
        outcome.selection.weight,
        max(outcome.selection.values.values()),
    )
    assert np.array_equal(again.runs[0].predictions.rank, outcome.result.predictions.rank)
    assert json.loads(json.dumps(again.as_dict()))["blend of"] == ["Item-KNN", "MF"]


def test_a_blend_of_models_trained_on_both_parts_is_another_run(tmp_path: Path, trained: list[str]) -> None:
    parts = [DIRECT, replace(DIRECT, model="item-knn")]
    runs = RunCache(tmp_path)
    _, with_both = runs.run_blend(parts[0], parts[1], LOG)
    _, with_train = runs.run_blend(*(replace(part, refit=False) for part in parts), LOG)
    assert not same(with_both, with_train)


def test_a_blend_of_other_parts_is_another_run(tmp_path: Path, trained: list[str]) -> None:
    first, second = Method(name="POP", experiment=DIRECT), Method(name="MF", experiment=EXPERIMENT)
    BlendedMethod(name="both", parts=(first, second)).run(LOG, RunCache(tmp_path))
    trained.clear()
    BlendedMethod(name="both", parts=(first, second)).run(LOG, RunCache(tmp_path), epochs=2)
    assert len(trained) == 4, "fewer epochs make another blend"


def test_without_refit_the_best_epoch_is_tested(tmp_path: Path, trained: list[str]) -> None:
    experiment = replace(EXPERIMENT, refit=False)
    choice, run = RunCache(tmp_path).run_best_epoch(experiment, LOG)
    outcome = experiment.run(LOG)
    assert np.array_equal(run.predictions.rank, outcome.result.predictions.rank)
    assert (choice.epochs, choice.metric) == (outcome.training.best, outcome.training.metric)
    again = RunCache(tmp_path).run_best_epoch(experiment, LOG)
    assert trained == ["bprmf", "bprmf"]
    assert again[0] == choice
    assert same(again[1], run)


def test_a_trained_model_is_stored(tmp_path: Path, trained: list[str]) -> None:
    experiment = replace(EXPERIMENT, seed=2)
    first, second = (RunCache(tmp_path).train_model(experiment, LOG) for _ in range(2))
    assert trained == ["bprmf"]
    outcome = replace(experiment, refit=False).run(LOG)
    for name, weight in outcome.model.state_dict().items():
        assert torch.equal(first.model.state_dict()[name], weight)
        assert torch.equal(second.model.state_dict()[name], weight)
    assert second.about["training"]["best"] == outcome.training.best
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".model"}
    trained.clear()
    RunCache(tmp_path).train_model(replace(experiment, patience=1), LOG)
    RunCache(tmp_path, overwrite=True).train_model(experiment, LOG)
    assert trained == ["bprmf", "bprmf"]


def test_a_deleted_model_is_trained_again(tmp_path: Path, trained: list[str]) -> None:
    RunCache(tmp_path).train_model(DIRECT, LOG)
    shutil.rmtree(next(tmp_path.glob("model-*.model")))
    assert RunCache(tmp_path).train_model(DIRECT, LOG).model.name == "pop"
    assert trained == ["pop", "pop"]


def test_each_seed_has_its_own_best_epoch(tmp_path: Path) -> None:
    experiment = replace(EXPERIMENT, refit=False)
    result = Method(name="MF", experiment=experiment, seeds=(0, 1)).run(LOG, RunCache(tmp_path))
    assert [run.seed for run in result.runs] == [0, 1]
    for run in result.runs:
        assert run.epochs == replace(experiment, seed=run.seed).run(LOG).training.best
    counted = Method(name="POP", experiment=replace(DIRECT, refit=False)).run(LOG, RunCache(tmp_path))
    assert counted.selection.epochs == 0


def test_the_cost_of_a_run_of_an_earlier_version_is_unknown_and_not_invented(tmp_path: Path) -> None:
    run = RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)
    method = Method(name="BPR", experiment=EXPERIMENT)
    known = MethodResult(method=method, selection=EpochSelection(epochs=3), runs=(run,)).costs
    assert known["test_cpu_seconds"] == round(run.test_cpu_seconds or 0.0, 2)
    file = next(tmp_path.glob("final-*.json"))
    stored = json.loads(file.read_text())
    del stored["cost"]["test_cpu_seconds"]
    file.write_text(json.dumps(stored))
    older = RunCache(tmp_path).run_refit(EXPERIMENT, LOG, 3)
    result = MethodResult(method=method, selection=EpochSelection(epochs=3), runs=(older,))
    assert result.costs == {key: cost for key, cost in known.items() if key != "test_cpu_seconds"}
    assert [row.metric for row in result.cost_rows("part")] == ["train CPU s", "peak MB"]
