"""HSTU against its equations written out position by position, and what it reads of times."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sequences import SIZES, layer_norm, padded_items, with_large_weights
from torch import Tensor

from segue.batches.batch import Batch, SequenceBatch
from segue.data import synthetic
from segue.errors import ConfigError, DataError
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.models.sequential.hstu import HSTU
from segue.nn.positions import time_buckets

norm = partial(layer_norm, eps=1e-6)


def build(seed: int = 0, **chosen: Any) -> HSTU:
    """A small model with large weights."""
    model: HSTU = with_large_weights(HSTU, seed=seed, **{"dropout": 0.0, **chosen})
    return model


def random_batch(seed: int, rows: int = 4, length: int = 6) -> SequenceBatch:
    """Left-padded histories with rising times; every position but padding has a target."""
    rng = np.random.default_rng(seed)
    history = padded_items(rng, rows, length)
    times = np.cumsum(10 ** rng.integers(0, 6, (rows, length + 1)), 1) * (np.c_[history, history[:, -1]] > 0)
    parts = (rng.integers(1, SIZES.num_users + 1, rows), history, history, history > 0, times)
    user, history, target, mask, times = (torch.from_numpy(part) for part in parts)
    return SequenceBatch(user, history, target, mask, times=times[:, :-1], time=times[:, -1])


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def bucket(duration: int) -> int:
    return min(int(math.log(max(duration, 1)) / 0.301), 127)


def reference_queries(model: HSTU, items: Tensor, times: list[int]) -> Tensor:
    """(n, d): the queries after each of n items without padding; `times` has one more for the request."""
    config, count = model.config, len(items)
    positions = model.position_embedding[len(model.position_embedding) - count :]
    xs = [model.item_embedding[i] * math.sqrt(config.embedding_dim) + p for i, p in zip(items, positions, strict=True)]
    for block in model.blocks:
        parts = [silu(block.projection.weight @ norm(block.input_norm, x)).chunk(4) for x in xs]
        outputs = []
        for t in range(count):
            attended = torch.zeros(config.num_heads, config.embedding_dim // config.num_heads, dtype=torch.float64)
            for s in range(t + 1):
                query, key = (part.view(config.num_heads, -1) for part in (parts[t][2], parts[s][3]))
                score = (query * key).sum(1) + block.position_bias.weight[t - s]
                if config.time != "none":
                    moment = times[t + 1] if config.time == "request" else times[t]
                    score = score + block.time_bias.weight[bucket(moment - times[s])]
                attended += silu(score)[:, None] * parts[s][1].view(config.num_heads, -1) / config.window
            gated = norm(block.output_norm, attended.flatten()) * parts[t][0]
            outputs.append(xs[t] + block.output.weight @ gated + block.output.bias)
        xs = outputs
    return torch.stack(xs)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 1000),
    time=st.sampled_from(["none", "events", "request"]),
    heads=st.sampled_from([1, 2]),
    blocks=st.integers(1, 2),
)
def test_queries_equal_the_equations(seed: int, time: str, heads: int, blocks: int) -> None:
    model, batch = build(seed, time=time, num_heads=heads, num_blocks=blocks), random_batch(seed)
    queries = model.queries(batch)
    newest = model.queries(Batch(batch.user, batch.history, times=batch.times, time=batch.time))
    assert batch.times is not None
    assert batch.time is not None
    for row, history in enumerate(batch.history):
        known = history > 0
        moments = [*batch.times[row][known].tolist(), int(batch.time[row])]
        expected = reference_queries(model, history[known], moments)
        assert torch.allclose(queries[row][known], expected, atol=1e-10, rtol=0)
        assert torch.allclose(newest[row, 0], expected[-1], atol=1e-10, rtol=0)


@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=5), st.integers(0, 10**15))
def test_durations_fall_into_buckets_of_their_logarithm(times: list[int], moment: int) -> None:
    found = time_buckets(torch.full((1, len(times)), moment), torch.tensor([times]))[0]
    for past, row in zip(times, found.T, strict=True):
        exact = math.log(max(moment - past, 1)) / 0.301
        assert {int(exact - 1e-3), int(exact + 1e-3)} >= set(row.tolist())  # the logarithm has 32 bits


def test_a_model_that_reads_the_request_needs_a_protocol_that_gives_it() -> None:
    log = synthetic.markov(30, 9, 8, seed=1)
    settings = {"time": "request", "epochs": 1}
    with pytest.raises(ConfigError, match=r"the model reads when the next item is requested, .*--request-time known"):
        Experiment(model="hstu", protocol=Protocol.named("leave-one-out"), settings=settings).run(log)
    protocol = Protocol.named("leave-one-out").with_settings({"request_time": "known"})
    Experiment(model="hstu", protocol=protocol, settings=settings).run(log)


def test_a_log_without_times_is_refused() -> None:
    log, protocol = synthetic.from_sequences([[1, 2, 3, 4], [2, 3, 4, 1]], num_items=4), Protocol.named("leave-one-out")
    with pytest.raises(DataError, match="has no times; read it with a column of times"):
        Experiment(model="hstu", protocol=protocol, settings={"time": "events", "epochs": 1}).run(log)
    with pytest.raises(DataError, match="has no times, so it is unknown when an item was requested"):
        protocol.with_settings({"request_time": "known"}).split(log)
