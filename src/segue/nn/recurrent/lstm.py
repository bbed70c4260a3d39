"""Long short-term memory (Hochreiter and Schmidhuber, 1997; forget gate of Gers, Schmidhuber and Cummins, 2000).

i = sigma(W_i x + U_i h + b_i)      f = sigma(W_f x + U_f h + b_f)      o = sigma(W_o x + U_o h + b_o)
g = tanh(W_g x + U_g h + b_g)
c <- f * c + i * g
h <- o * tanh(c)                    W, U and b hold the blocks i, f, o, g; a state holds c, then h
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from segue.nn.recurrent.gru import glorot_blocks


class LSTMCell(nn.Module):
    """An LSTM layer over packed sequences.

    Args:
        input_dim: size of the inputs.
        hidden_dim: size of c and of h.
        forget_bias: initial bias of the forget gate; 1 lets the cell remember at first.
    """

    def __init__(self, input_dim: int, hidden_dim: int, forget_bias: float = 1.0) -> None:
        super().__init__()
        self.output_dim, self.state_dim = hidden_dim, 2 * hidden_dim
        self.w = nn.Parameter(glorot_blocks(4, hidden_dim, input_dim))
        self.u = nn.Parameter(glorot_blocks(4, hidden_dim, hidden_dim))
        self.b = nn.Parameter(torch.zeros(4 * hidden_dim))
        with torch.no_grad():
            self.b[hidden_dim : 2 * hidden_dim] = forget_bias

    def run_packed(self, batch_sizes: list[int], inputs: Tensor, initial_state: Tensor) -> Tensor:
        cell, hidden = initial_state.split(self.output_dim, 1)
        cells, hiddens = [], []
        for x in linear(inputs, self.w, self.b).split(batch_sizes):  # (batch_sizes[t], 4 h)
            i, f, o, g = torch.addmm(x, hidden[: len(x)], self.u.T).chunk(4, 1)
            cell = torch.addcmul(f.sigmoid() * cell[: len(x)], i.sigmoid(), g.tanh())
            hidden = o.sigmoid() * cell.tanh()
            cells.append(cell)
            hiddens.append(hidden)
        return torch.cat([torch.cat(cells), torch.cat(hiddens)], 1)
