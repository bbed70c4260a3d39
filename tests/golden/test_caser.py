"""Caser's output layer against numbers of its equation. `test_hgn.py` checks the convolutions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.models.base.model import Sizes
from segue.models.sequential.caser import Caser


class ConstantOutput(nn.Module):
    """Returns the same vector z for each window."""

    def __init__(self, z: Tensor) -> None:
        super().__init__()
        self.z = z

    def forward(self, item: Tensor) -> Tensor:
        return self.z.expand(len(item), item.shape[1] - 4, -1)


@torch.inference_mode()
def test_scores_of_the_output_layer(golden) -> None:
    golden_arrays = golden("seqmodels")
    z, p_u, w, b = (torch.from_numpy(golden_arrays[f"caser_{name}"]) for name in ("z", "p_u", "W", "b"))
    model = Caser(Caser.configure({"embedding_dim": len(z)}), Sizes(num_users=1, num_items=len(w))).double().eval()
    model.convolutions = ConstantOutput(z)
    model.user_embedding[1] = p_u
    model.output_embedding[1:] = torch.cat([w, b[:, None]], 1)  # item ids in the arrays start at 0, in segue at 1
    scores = model.score(Batch(torch.tensor([1]), torch.tensor([[1, 2, 3]])))
    np.testing.assert_allclose(scores[0, 1:], golden_arrays["caser_y"], rtol=0, atol=1e-10)
