"""Every model of `MODELS` obeys every law."""

import pytest

from segue import testing
from segue.models.registry import MODELS

# these models read no history, so they cannot learn a cycle
NO_HISTORY = ("pop", "s-pop", "recent-pop", "global-mean", "user-mean", "item-mean", "biases")


@pytest.mark.parametrize("law", testing.LAWS)
@pytest.mark.parametrize("model", MODELS)
def test_model_obeys_law(model: str, law: str) -> None:
    subject = testing.subject(MODELS[model])
    if law == "learns_a_cycle" and model in NO_HISTORY:
        with pytest.raises(AssertionError, match="law 1"):
            testing.LAWS[law](subject)
    else:
        testing.LAWS[law](subject)


@pytest.mark.parametrize("law", testing.LAWS)
@pytest.mark.parametrize(
    ("model", "time"), [("hstu", "events"), ("hstu", "request"), ("esasrec", "request"), ("sasrec", "events")]
)
def test_a_model_that_reads_times_obeys_law(model: str, time: str, law: str) -> None:
    testing.LAWS[law](testing.subject(MODELS[model], time=time))


@pytest.mark.parametrize("law", testing.LAWS)
@pytest.mark.parametrize("model", ["sasrec", "esasrec", "hstu"])
def test_a_model_that_reads_types_of_events_obeys_law(model: str, law: str) -> None:
    testing.LAWS[law](testing.subject(MODELS[model], event_types=True))


@pytest.mark.parametrize("law", testing.LAWS)
@pytest.mark.parametrize("model", ["sasrec", "esasrec", "hstu", "bert4rec"])
def test_a_model_that_reads_features_of_events_obeys_law(model: str, law: str) -> None:
    testing.LAWS[law](testing.subject(MODELS[model], event_features=True))


@pytest.mark.parametrize("law", testing.LAWS)
@pytest.mark.parametrize(
    ("model", "sessions"),
    [("sasrec", "starts"), ("esasrec", "positions"), ("hstu", "positions"), ("bert4rec", "starts")],
)
def test_a_model_that_reads_sessions_obeys_law(model: str, sessions: str, law: str) -> None:
    testing.LAWS[law](testing.subject(MODELS[model], sessions=sessions, session_gap=40_000))


@pytest.mark.parametrize("law", testing.LAWS)
@pytest.mark.parametrize(
    ("model", "positions"),
    [("sasrec", "relative"), ("sasrec", "rotary"), ("gsasrec", "none"), ("esasrec", "relative"), ("esasrec", "rotary")],
)
def test_a_model_with_other_positions_obeys_law(model: str, positions: str, law: str) -> None:
    testing.LAWS[law](testing.subject(MODELS[model], positions=positions, num_heads=2))
