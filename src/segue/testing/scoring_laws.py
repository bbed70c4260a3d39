"""Laws about scores: what they may depend on, and what they must not depend on."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segue.batches.batch import Batch, SequenceBatch
from segue.data import synthetic
from segue.data.splits import leave_last_out
from segue.evaluation.ranking import rank
from segue.models.base.model import GradientModel, Model
from segue.models.base.score_buffer import instance_batch
from segue.serving.recommend import recommend
from segue.serving.saved_model import load, save
from segue.testing.subject import Subject, assert_same_scores, evaluation_batch, training_batch, with_metadata
from segue.training.loop import fit


def candidate_consistency(subject: Subject) -> None:
    """Law 2: scoring some items gives the same values as scoring all items and selecting these."""
    model = subject.train()
    batch, items = evaluation_batch(subject.log, model), torch.tensor([3, 0, 11, 3])
    with torch.inference_mode():
        assert_same_scores(model.score(batch, items), model.score(batch)[:, items], "law 2")


def padding_invariance(subject: Subject) -> None:
    """Law 3: more padding on the left does not change the scores."""
    model = subject.train()
    batch = evaluation_batch(subject.log, model)
    padded = batch.last_events(batch.history.shape[1] + 3)
    with torch.inference_mode():
        assert_same_scores(model.score(padded), model.score(batch), "law 3")


def batch_independence(subject: Subject) -> None:
    """Law 4: the other rows of a batch do not change the scores of a row."""
    model = subject.train()
    batch = evaluation_batch(subject.log, model)
    with torch.inference_mode():
        single = [model.score(row) for row in batch.slices(1)]
        assert_same_scores(torch.cat(single), model.score(batch), "law 4")


def no_future_leakage(subject: Subject) -> None:
    """Law 5: later events, their times, types and features change no earlier score, in evaluation and in training."""
    log = subject.log
    instances = leave_last_out(log).instances("valid")
    ranges = zip(instances.row, log.stop[instances.user], strict=True)
    held_out = np.concatenate([np.arange(first, stop) for first, stop in ranges])
    item = log.item.copy()
    item[held_out] = log.num_items + 1 - item[held_out]
    later = np.setdiff1d(held_out, instances.row)  # the time of the request stays
    time = None if log.time is None else log.time.copy()
    if time is not None:
        time[later] += 10_000 * later  # more for later users, so that the order of the users changes too
    types = None if log.event_type is None else log.event_type.copy()
    if types is not None:
        types[held_out] = 1 + len(log.event_types) - types[held_out]
    features = None if log.event_features is None else log.event_features.copy()
    if features is not None:
        features[held_out] = features[held_out][::-1]
    scores = []
    for variant in (log, replace(log, item=item, time=time, event_type=types, event_features=features)):
        model = subject.train(leave_last_out(variant).train)
        with torch.inference_mode():
            scores.append(model.score(instance_batch(model, replace(instances, log=variant))))
    assert torch.equal(*scores), "law 5: changing held-out events and times changed the scores of earlier instances"


def request_time(subject: Subject) -> None:
    """Law 16: a model that ranks and does not read the time of the request scores the same without it."""
    model = subject.train()
    if model.task == "rating" or model.reads_request_time:
        return
    batch = evaluation_batch(subject.log, model)
    with torch.inference_mode():
        known = model.score(replace(batch, time=torch.arange(1, len(batch) + 1) * 1000))
        assert_same_scores(known, model.score(batch), "law 16", atol=0)


def padding_row_is_zero(subject: Subject) -> None:
    """Law 7: row 0 of every table stays zero; item 0 is never a candidate and never a negative."""
    log = subject.log
    model = subject.train()
    table_rows = {log.num_users + 1, log.num_items + 1}
    for key, value in model.state_dict().items():
        if value.ndim == 2 and value.shape[0] in table_rows:
            assert not value[0].any(), f"law 7: row 0 of {key} is not zero after training"
    with torch.inference_mode():
        scores = model.score(evaluation_batch(log, model))
    assert scores[:, 0].eq(-torch.inf).all(), "law 7: item 0 has a score"
    if isinstance(model, GradientModel):
        for batch in model.batches(log, np.random.default_rng(0)):
            if isinstance(batch, SequenceBatch):
                padding = (batch.negatives == 0) & (batch.targets > 0).unsqueeze(3)  # (B, C, T, G)
                assert not padding.any(), "law 7: item 0 was drawn as a negative"


def save_load_roundtrip(subject: Subject) -> None:
    """Law 9: a loaded model gives the scores of the saved model, to the bit."""
    model = subject.train()
    batch = evaluation_batch(subject.log, model)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        loaded = load(save(model, subject.log, Path(folder) / "model"), models=[subject.model_class]).model
        assert torch.equal(loaded.score(batch), model.score(batch)), "law 9: scores differ"


def finite_on_shortest_history(subject: Subject) -> None:
    """Law 10: the shortest legal history gives a finite loss and finite scores, and so does an unknown user."""
    times = [[10**9 + first, 10**9 + first + 3] for first in range(3)]
    short = synthetic.from_sequences([[1, 2], [2, 3], [3, 1]], num_items=5, times=times)
    log = with_metadata(short)
    model = subject.build(log)
    if isinstance(model, GradientModel):
        loss = model(training_batch(model, log))
        assert loss.isfinite(), "law 10: the loss of users with two events is not finite"
    fit(model, log)
    with torch.inference_mode():
        scores = model.eval().score(_with_times(model, Batch(torch.tensor([0, 1]), torch.tensor([[1], [1]]))))
    assert scores[:, 1:].isfinite().all(), "law 10: scores after one event are not finite"


def step_matches_full(subject: Subject) -> None:
    """Law 13: for a model with `step`, stepping through the events gives the scores of the whole history."""
    model: Any = subject.train()
    if not hasattr(model, "step"):
        return
    instances = leave_last_out(subject.log).instances("test")
    # for a model that reads no history (window 0), the whole history
    batch = Batch(torch.from_numpy(instances.user), torch.from_numpy(instances.histories(model.window or None)))
    state = None
    with torch.inference_mode():
        for position in range(batch.history.shape[1]):
            state, scores = model.step(state, batch.history[:, position])
        assert_same_scores(scores, model.score(batch), "law 13")


def additive_scores(subject: Subject) -> None:
    """Law 14: the terms of the items of the history, each alone in its position, add up to the score of an additive
    model, together with the score of an empty history; or their mean does."""
    model = subject.train()
    if model.additive == "no":
        return
    assert model.skips_padding == "anywhere", "law 14: an additive model has to skip padding anywhere in a history"
    batch = evaluation_batch(subject.log, model)
    history = batch.history
    with torch.inference_mode():
        rest = model.score(replace(batch, history=0 * history))
        total = torch.zeros_like(rest)
        for position in range(history.shape[1]):
            alone = torch.zeros_like(history)
            alone[:, position] = history[:, position]
            total += torch.where(rest.isfinite(), model.score(replace(batch, history=alone)) - rest, 0)
        count = (history > 0).sum(1, keepdim=True) if model.additive == "mean" else 1
        assert_same_scores(rest + total / count, model.score(batch), "law 14")


def recommends_as_evaluated(subject: Subject) -> None:
    """Law 15: recommended lists are those of the evaluation, and a shorter list is the beginning of a longer one."""
    model, log = subject.train(), subject.log
    ranks = rank(model, leave_last_out(log).instances("test"), exclude_seen=True, depth=5)
    assert ranks.row is not None
    for user, row, listed in zip(ranks.user, ranks.row, ranks.top, strict=True):
        past, name = slice(log.start[user], row), log.users.names([int(user)])[0]
        history, times = log.items.names(log.item[past]), log.known_times[past].tolist()
        now, types = int(log.known_times[row]), [log.event_types[one - 1] for one in log.known_event_types[past]]
        names = [one.name for one in log.event_feature_columns]
        columns = zip(log.event_feature_columns, log.known_event_features[past].T, strict=True)
        values = zip(*(one.decode(column) for one, column in columns), strict=True)
        features = [dict(zip(names, event, strict=True)) for event in values]
        found = {
            k: recommend(
                model,
                log,
                user=name,
                history=history,
                times=times,
                types=types,
                features=features,
                time=now,
                k=k,
                exclude_seen=True,
            )
            for k in (2, len(listed))
        }
        if found[len(listed)].fallback is None:
            ids = log.items.ids([one.item for one in found[len(listed)]]).tolist()
            assert ids == listed[listed > 0].tolist(), "law 15: another list is recommended than was evaluated"
            assert found[2].items == found[len(listed)][:2], "law 15: a shorter list begins otherwise"


def _with_times(model: Model, batch: Batch) -> Batch:
    """A batch with the times, the types, the features and the sessions that a model reads."""
    ones = torch.ones_like(batch.history)
    columns = len(model.sizes.event_features)
    return replace(
        batch,
        times=ones if model.reads_times else None,
        types=ones if model.reads_event_types else None,
        features=torch.ones(*ones.shape, columns) if model.reads_event_features else None,
        sessions=ones if model.session_rule else None,
        time=torch.ones_like(batch.user) if model.reads_request_time else None,
    )
