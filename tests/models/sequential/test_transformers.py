"""What causal transformers share: how they read positions and times."""

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
from segue.nn.positions import NUM_BUCKETS, time_buckets

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


@pytest.mark.parametrize("name", MODELS_WITH_TIMES)
def test_without_positions_the_order_of_older_events_says_nothing(name: str) -> None:
    batch = Batch(BATCH.user, torch.tensor([[0, 3, 5, 2], [4, 1, 6, 3]]))
    other = replace(batch, history=torch.tensor([[0, 5, 3, 2], [6, 4, 1, 3]]))
    for positions in ("absolute", "relative", "rotary", "none"):
        model = made(name, positions=positions, num_blocks=1)
        with torch.no_grad():
            for weight in model.parameters():
                weight.normal_(0, 0.2)
            same = torch.allclose(model.score(batch), model.score(other))
        assert same == (positions == "none"), positions


def test_a_relative_bias_that_is_the_same_for_all_distances_changes_nothing() -> None:
    with_bias, without = (
        made("sasrec", positions="relative", num_heads=2),
        made("sasrec", positions="none", num_heads=2),
    )
    without.load_state_dict(with_bias.state_dict(), strict=False)
    with torch.no_grad():
        with_bias.position_bias.weight[:] = torch.tensor([3.0, -1.0], dtype=torch.float64)
        torch.testing.assert_close(with_bias.score(BATCH), without.score(BATCH))


def test_heads_of_rotary_positions_have_pairs_of_numbers() -> None:
    message = "positions=rotary: a head has embedding_dim / num_heads = 5 numbers, which must be an even number"
    with pytest.raises(ConfigError, match=message):
        MODELS["sasrec"].configure({"embedding_dim": 10, "num_heads": 2, "positions": "rotary"})
    assert MODELS["sasrec"].configure({"embedding_dim": 10, "positions": "rotary"}).positions == "rotary"


def test_settings_that_came_later_are_stored_where_they_are_not_the_default() -> None:
    for name in MODELS_WITH_TIMES:
        assert not {"time", "positions", "event_types"} & MODELS[name].configure().as_dict().keys()
        chosen = MODELS[name].configure({"positions": "rotary", "time": "events"}).as_dict()
        assert (chosen["positions"], chosen["time"]) == ("rotary", "events")
        assert MODELS[name].configure(chosen).as_dict() == chosen
    assert MODELS["hstu"].configure().as_dict()["time"] == "none", "as in files of earlier versions"
