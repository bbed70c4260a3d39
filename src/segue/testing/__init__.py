"""Laws: properties that every model must have, as tests for models of your own too.

    from segue.testing import check
    check(MyModel, embedding_dim=8)

`check` raises an `AssertionError` that names the law which the model breaks. `LAWS` has each law as a function.
"""

from segue.testing.model_checks import LAWS as LAWS
from segue.testing.model_checks import check as check
from segue.testing.subject import Subject as Subject
from segue.testing.subject import subject as subject
