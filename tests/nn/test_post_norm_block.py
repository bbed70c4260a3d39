"""The transformer block of BERT against that of torch."""

from __future__ import annotations

import math

import pytest
import torch

from segue.nn.post_norm_block import PostNormBlock


@pytest.mark.parametrize("last", [1, 3])
def test_output_equals_torch(last: int) -> None:
    """The same as torch's encoder layer with its weights; the output of the last positions needs those alone."""
    torch.manual_seed(0)
    block = PostNormBlock(6, num_heads=2, ffn_dim=5, dropout_rate=0.0).double().eval()
    layer = torch.nn.TransformerEncoderLayer(
        6, 2, 5, dropout=0.0, activation="gelu", batch_first=True, layer_norm_eps=1e-12, dtype=torch.float64
    ).eval()
    with torch.no_grad():
        for weight in block.parameters():
            weight.normal_(0, 0.7)
        layer.self_attn.in_proj_weight.copy_(
            torch.cat([block.attention.query.weight, block.attention.key_value.weight])
        )
        layer.self_attn.in_proj_bias.copy_(torch.cat([block.attention.query.bias, block.attention.key_value.bias]))
        layer.self_attn.out_proj.load_state_dict(block.attention.output.state_dict())
        layer.linear1.load_state_dict(block.ffn_in.state_dict())
        layer.linear2.load_state_dict(block.ffn_out.state_dict())
        layer.norm1.load_state_dict(block.attention_norm.state_dict())
        layer.norm2.load_state_dict(block.ffn_norm.state_dict())
    x = torch.randn(4, 3, 6, dtype=torch.float64)
    mask = torch.full((3, 3), -math.inf, dtype=torch.float64).triu(1)
    output = block(x, mask[None, None, -last:])
    torch.testing.assert_close(output, layer(x, src_mask=mask)[:, -last:], rtol=0, atol=1e-10)
