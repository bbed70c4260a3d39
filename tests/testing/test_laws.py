"""Every model, every law."""

import pytest

from segue.models.registry import MODELS
from segue.testing import model_checks as testing

BY_NATURE = (
    "pop",
    "s-pop",
    "recent-pop",
    "global-mean",
    "user-mean",
    "item-mean",
    "biases",
)  # they know nothing of anybody


@pytest.mark.parametrize("law", testing.LAWS)
@pytest.mark.parametrize("model", MODELS)
def test_law(model: str, law: str) -> None:
    if law == "learns_a_cycle" and model in BY_NATURE:
        with pytest.raises(AssertionError, match="law 1"):
            testing.LAWS[law](testing.subject(MODELS[model]))
    else:
        testing.LAWS[law](testing.subject(MODELS[model]))
