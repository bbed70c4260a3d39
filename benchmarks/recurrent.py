"""Implementations of Criteo's GRU over padded or packed histories: `python -m benchmarks.recurrent`, one thread.

Each runs the same batch of 512 sessions (with the lengths of YooChoose: 3.2 items on average, at most 50) forward and
backward, with 100 hidden units. All compute the same states; each is compared with the first.

The second table shows the CPU time of one event of a live session, at its 10th and at its 1,000th event.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import linear

from benchmarks.measurement import cpu_seconds
from segue.models.base.model import Sizes
from segue.models.registry import find
from segue.nn.recurrent.gru import ResetBeforeGRUCell
from segue.nn.recurrent.packing import run_recurrence

DIM, ITEMS, ROWS, MAX_LENGTH = 100, 17_745, 512, 50
Step = Callable[[Tensor, Tensor, Tensor], Tensor]


def step(gates: Tensor, state: Tensor, u: Tensor) -> Tensor:
    """One step of the cell; `gates` are the projected inputs."""
    two = 2 * state.shape[1]
    reset, update = torch.sigmoid(gates[:, :two] + state @ u[:two].t()).chunk(2, 1)
    return torch.lerp(state, torch.tanh(gates[:, two:] + (reset * state) @ u[two:].t()), update)


def padded(cell: ResetBeforeGRUCell, table: Tensor, history: Tensor, *, one_product: bool) -> Tensor:
    """Every step computes all rows; the state of a row stays zero before its first item."""
    state, states = table.new_zeros(len(history), DIM), []
    gates = linear(table[history], cell.w).unbind(1) if one_product else None
    for position in range(history.shape[1]):
        step_gates = linear(table[history[:, position]], cell.w) if gates is None else gates[position]
        state = step(step_gates, state, cell.u) * (history[:, position] > 0).unsqueeze(1)
        states.append(state)
    return torch.stack(states, 1)


class Packed:
    """A cell over packed sequences with another implementation of its step."""

    def __init__(self, cell: ResetBeforeGRUCell, step: Step) -> None:
        self.cell, self.step = cell, step
        self.output_dim, self.state_dim = cell.output_dim, cell.state_dim

    def run_packed(self, batch_sizes: list[int], inputs: Tensor, initial_state: Tensor) -> Tensor:
        state, states = initial_state, []
        for gates in linear(inputs, self.cell.w).split(batch_sizes):
            state = self.step(gates, state[: len(gates)], self.cell.u)
            states.append(state)
        return torch.cat(states)


def sessions(seed: int) -> Tensor:
    """Left-padded histories."""
    generator = torch.Generator().manual_seed(seed)
    length = torch.empty(ROWS).geometric_(1 / 3.2, generator=generator).clamp(1, MAX_LENGTH).long()
    length[0] = MAX_LENGTH
    item = torch.randint(1, ITEMS + 1, (ROWS, MAX_LENGTH), generator=generator)
    return item * (torch.arange(MAX_LENGTH) >= MAX_LENGTH - length.unsqueeze(1))


def seconds(work: Callable[[], object], repeat: int) -> float:
    """CPU seconds of a call: the minimum over repeats, as other programs may be running."""
    return min(cpu_seconds(work) for _ in range(repeat))


def implementations(
    cell: ResetBeforeGRUCell, table: Tensor, history: Tensor, *, compiled: bool
) -> dict[str, Callable[[], Tensor]]:
    """The implementations by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(step)
    functions = {
        "one step at a time, rows padded": lambda: padded(cell, table, history, one_product=False),
        "one product for all inputs, rows padded": lambda: padded(cell, table, history, one_product=True),
        "one product for all inputs, rows packed (segue)": lambda: run_recurrence(history, table.__getitem__, cell),
        "packed, the step scripted": lambda: run_recurrence(history, table.__getitem__, Packed(cell, scripted)),
    }
    if compiled:
        quick = torch.compile(step, dynamic=True)
        functions["packed, the step compiled"] = lambda: run_recurrence(history, table.__getitem__, Packed(cell, quick))
    return functions


def compare_implementations(repeat: int, *, compiled: bool) -> None:
    """Print a row for each implementation."""
    torch.manual_seed(0)
    cell, history = ResetBeforeGRUCell(DIM, DIM), sessions(1)
    table = torch.randn(ITEMS + 1, DIM) * DIM**-0.5
    probe, count = torch.randn(ROWS, MAX_LENGTH, DIM), int((history > 0).sum())
    print(f"| {count} events of {ROWS} sessions | first call, CPU ms | a call after it | largest difference |")
    print("|---|---:|---:|---:|")
    expected: Tensor | None = None
    for name, run_states in implementations(cell, table, history, compiled=compiled).items():

        def forward_and_backward(run_states: Callable[[], Tensor] = run_states) -> None:
            (run_states() * probe).sum().backward()

        first = cpu_seconds(forward_and_backward)
        with torch.no_grad():
            states = run_states()
        expected = states if expected is None else expected
        difference = float((states - expected).abs().max())
        print(
            f"| {name} | {1e3 * first:,.0f} | {1e3 * seconds(forward_and_backward, repeat):.1f} | {difference:.0e} |",
            flush=True,
        )


def measure_step(repeat: int) -> None:
    """Print the CPU time of one event of a live session for each recurrent model."""
    print("\n| `step`, CPU ms of one event | at event 10 | at event 1,000 |\n|---|---:|---:|")
    models = {"gru": {"num_layers": 2}, "lstm4rec": {}, "hm-lstm": {}, "gru4rec": {}}
    for name, settings in models.items():
        model_class = find(name)
        model = model_class(model_class.configure(settings), Sizes(1, ITEMS)).eval()
        state, times = None, []
        with torch.inference_mode():
            for event in range(1, 1001):
                item = torch.tensor([1 + event * 7919 % ITEMS])
                if event in (10, 1000):
                    times.append(seconds(partial(model.step, state, item), repeat))
                state, _ = model.step(state, item)
        print(
            f"| {name}{' (2 layers)' if settings else ''} | {1e3 * times[0]:.2f} | {1e3 * times[1]:.2f} |", flush=True
        )


def main() -> None:
    """Measure, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=20, help="number of calls; the fastest counts")
    parser.add_argument("--compile", action="store_true", help="torch.compile too, which takes minutes and a compiler")
    args = parser.parse_args()
    torch.set_num_threads(1)
    compare_implementations(args.repeat, compiled=args.compile)
    measure_step(10 * args.repeat)


if __name__ == "__main__":
    main()
