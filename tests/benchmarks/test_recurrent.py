"""The benchmark of recurrent layers: its implementations compute the same."""

from __future__ import annotations

import torch

from benchmarks import recurrent


def test_all_implementations_compute_the_same_states() -> None:
    torch.manual_seed(0)
    cell, history = recurrent.ResetBeforeGRUCell(recurrent.DIM, recurrent.DIM), recurrent.sessions(1)[:20]
    table = torch.randn(recurrent.ITEMS + 1, recurrent.DIM) * 0.1
    with torch.no_grad():
        expected = recurrent.run_recurrence(history, table.__getitem__, cell)
        packed = recurrent.run_recurrence(history, table.__getitem__, recurrent.Packed(cell, recurrent.step))
        padded = [recurrent.padded(cell, table, history, one_product=one_product) for one_product in (False, True)]
    for found in (packed, *padded):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
