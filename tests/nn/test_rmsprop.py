"""RMSprop equals that of torch, also where gradients are sparse."""

from __future__ import annotations

import pytest
import torch
from tests.nn.test_optim import loss, weights
from torch import Tensor, nn

from segue.nn.embedding import embedding
from segue.nn.rmsprop import RMSprop


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_ten_steps_of_rmsprop_equal_torch(weight_decay: float, clip: float | None) -> None:
    parameters, reference_parameters = weights(torch.double), weights(torch.double)
    rms = RMSprop(parameters, lr=0.03, weight_decay=weight_decay, alpha=0.95, clip=clip)
    reference = torch.optim.RMSprop(reference_parameters, lr=0.03, alpha=0.95, weight_decay=weight_decay)
    for step in range(10):
        rms.zero_grad()
        loss(parameters, step).backward()
        rms.step()
        reference.zero_grad()
        loss(reference_parameters, step).backward()
        if clip is not None:
            torch.nn.utils.clip_grad_value_(reference_parameters, clip)
        reference.step()
        for one, two in zip(parameters, reference_parameters, strict=True):
            assert torch.equal(one, two)


def lookups(tables: list[nn.Parameter], step: int, sparse: bool) -> Tensor:
    """A loss that uses other rows at each step, some of them twice; no row 0, which is padding."""
    ids = torch.randint(1, 9, (5,), generator=torch.Generator().manual_seed(step))
    rows = (embedding(table, ids, sparse=sparse) if sparse else table[ids] for table in tables)
    return sum(((row - step) * (row + 40)).sum() for row in rows)  # type: ignore[return-value]


@pytest.mark.parametrize("clip", [None, 10.0])
@pytest.mark.parametrize("to_dense", [False, True])
def test_sparse_steps_equal_those_of_torch_over_all_rows(clip: float | None, to_dense: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    values = [torch.randn(shape, generator=generator, dtype=torch.double) for shape in ((9, 3), (9, 2, 2))]
    tables, references = ([nn.Parameter(value.clone()) for value in values] for _ in range(2))
    reference = torch.optim.RMSprop(references, lr=0.03, alpha=0.95)
    rms = RMSprop(tables, lr=0.03, clip=clip, sparse=tables)
    for step in range(12):
        if step == 5:  # a resumed run
            saved = {key: value.clone() for key, value in rms.state_dict().items()}
            rms = RMSprop(tables, lr=0.03, clip=clip, sparse=tables)
            rms.load_state_dict(saved)
        rms.zero_grad()
        lookups(tables, step, True).backward()
        for table in tables:
            assert table.grad is not None
            assert table.grad.is_sparse
            if to_dense:  # as several processes have it
                table.grad = table.grad.to_dense()
        rms.step()
        reference.zero_grad()
        lookups(references, step, False).backward()
        if clip is not None:
            torch.nn.utils.clip_grad_value_(references, clip)
        reference.step()
        for one, two in zip(tables, references, strict=True):
            torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


def test_weight_decay_moves_all_rows_so_none_may_be_sparse() -> None:
    table = nn.Parameter(torch.ones(3, 2))
    with pytest.raises(ValueError, match="weight decay moves all rows"):
        RMSprop([table], lr=0.1, weight_decay=0.1, sparse=[table])
