"""The list of the laws, and `check`, which tests a model class against all of them.

    from segue.testing import LAWS, check, subject
    check(MyModel, embedding_dim=8)                    # all laws
    LAWS["padding_invariance"](subject(MyModel))       # one law

Each law is a function of a `Subject`: a model class with small settings and a small log. It trains tiny models for
seconds, and raises an `AssertionError` with the number of the law and the observed values.
"""

from __future__ import annotations

from collections.abc import Callable

from segue.models.base.model import Model
from segue.testing.scoring_laws import (
    additive_scores,
    batch_independence,
    candidate_consistency,
    finite_on_shortest_history,
    no_future_leakage,
    padding_invariance,
    padding_row_is_zero,
    recommends_as_evaluated,
    request_time,
    save_load_roundtrip,
    step_matches_full,
)
from segue.testing.subject import Subject, subject
from segue.testing.training_laws import (
    all_weights_get_gradients,
    determinism,
    exact_resume,
    learns_a_cycle,
    processes_agree,
)

LAWS: dict[str, Callable[[Subject], None]] = {
    law.__name__: law
    for law in (
        learns_a_cycle,
        candidate_consistency,
        padding_invariance,
        batch_independence,
        no_future_leakage,
        determinism,
        padding_row_is_zero,
        all_weights_get_gradients,
        save_load_roundtrip,
        finite_on_shortest_history,
        processes_agree,
        exact_resume,
        step_matches_full,
        additive_scores,
        recommends_as_evaluated,
        request_time,
    )
}


def check(model_class: type[Model], **settings: object) -> None:
    """Test `model_class` against every law.

    Args:
        model_class: the class of the model.
        settings: settings of the model that depart from small default ones.

    Raises:
        AssertionError: the model breaks a law; the message names it.
        TypeError: `model_class` is not a class of models.
    """
    if not (isinstance(model_class, type) and issubclass(model_class, Model)):
        raise TypeError(f"{model_class!r} is not a model class; derive it from segue.Model")
    reads_no_history = getattr(model_class, "window", None) == 0
    for law in LAWS.values():
        if law is learns_a_cycle and reads_no_history:  # the next item of a cycle depends on the history
            continue
        law(subject(model_class, **settings))
