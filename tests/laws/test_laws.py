"""Every model, every law."""

import pytest

from segue import testing
from segue.models import MODELS


@pytest.mark.parametrize("law", testing.LAWS)
@pytest.mark.parametrize("model", MODELS)
def test_law(model: str, law: str) -> None:
    if (model, law) == ("pop", "learns_a_cycle"):
        with pytest.raises(AssertionError, match="law 1"):
            testing.LAWS[law](testing.subject(MODELS[model]))
    else:
        testing.LAWS[law](testing.subject(MODELS[model]))
