"""The time bias of causal transformers: a number for each bucket of durations, added to the attention scores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from segue import testing
from segue.batches.batch import Batch
from segue.errors import ConfigError
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.models.registry import MODELS
from segue.nn.relative_bias import NUM_BUCKETS, time_buckets

MODELS_WITH_TIMES = ("sasrec", "gsasrec", "esasrec")
BATCH = Batch(
    torch.tensor([1, 2]),
    torch.tensor([[0, 3, 5, 2], [4, 1, 6, 3]]),
    times=torch.tensor([[0, 100, 160, 90_000], [5, 5, 70, 2_000_000]]),
    time=torch.tensor([90_030, 2_000_030]),
)


def made(name: str, **settings: Any) -> Any:
    return testing.subject(MODELS[name], **settings).build().double().eval()


@pytest.mark.parametrize("name", MODELS_WITH_TIMES)
def test_a_bias_that_is_the_same_for_all_durations_changes_nothing(name: str) -> None:
    model = made(name, time="request", num_heads=2)
    with torch.no_grad():
        model.time_bias.weight.zero_()
        without = model.score(BATCH)
        model.time_bias.weight.add_(torch.tensor([3.0, -1.0], dtype=torch.float64))
        torch.testing.assert_close(model.score(BATCH), without)
        model.time_bias.weight.normal_()
        assert not torch.allclose(model.score(BATCH)[:, 1:], without[:, 1:])


@pytest.mark.parametrize("name", MODELS_WITH_TIMES)
@pytest.mark.parametrize("time", ["events", "request"])
def test_events_whose_bucket_has_no_weight_are_not_read(name: str, time: str) -> None:
    """One block: what is older than a day is left out of the attention, so it could be any other item."""
    model = made(name, time=time, num_blocks=1)
    day = int(time_buckets(torch.tensor([[86_400]]), torch.tensor([[0]])))
    with torch.no_grad():
        model.time_bias.weight[:] = torch.where(torch.arange(NUM_BUCKETS).unsqueeze(1) > day, -1e9, 0.5)
        old = replace(BATCH, history=torch.tensor([[0, 3, 5, 2], [7, 8, 9, 3]]))
        torch.testing.assert_close(model.score(old), model.score(BATCH))
        recent = replace(BATCH, history=torch.tensor([[0, 3, 7, 2], [4, 1, 6, 3]]))
        assert not torch.allclose(model.score(recent)[0, 1:], model.score(BATCH)[0, 1:])


def test_the_moment_of_the_request_needs_a_protocol_that_gives_it() -> None:
    protocol = Protocol.named("leave-one-out")
    log = testing.subject(MODELS["esasrec"]).log
    with pytest.raises(ConfigError, match="the model reads when the next item is requested"):
        Experiment(model="esasrec", protocol=protocol, settings={"time": "request"}).build(log)
    known = protocol.with_settings({"request_time": "known"})
    assert Experiment(model="esasrec", protocol=known, settings={"time": "request"}).build(log).reads_request_time
    assert "time" not in MODELS["esasrec"].configure().as_dict(), "files of earlier versions have no such setting"
