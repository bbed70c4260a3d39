"""Every model, every law."""

import pytest

from segue import testing
from segue.models import MODELS


@pytest.mark.parametrize("law", testing.LAWS)
@pytest.mark.parametrize("model", MODELS)
def test_law(model: str, law: str) -> None:
    if law == "learns_a_cycle" and model in ("pop", "s-pop", "recent-pop"):
        with pytest.raises(AssertionError, match="law 1"):
            testing.LAWS[law](testing.subject(MODELS[model]))
    else:
        testing.LAWS[law](testing.subject(MODELS[model]))
