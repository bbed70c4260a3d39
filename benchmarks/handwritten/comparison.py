"""The comparison of hand-written parts with the plain way: median CPU seconds, measured in turns."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.handwritten.part import Part, Run
from benchmarks.measurement import cpu_seconds
from segue.data import synthetic
from segue.models.base.model import Sizes
from segue.models.registry import find
from segue.nn.matmul import fast_matmul
from segue.training.loop import fit


def compare(runs: tuple[Callable[[], object], Callable[[], object]], repeat: int) -> dict[str, float]:
    """Median CPU seconds of segue's way and of the plain way, measured in turns after a warm-up."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeat + 1):
        for part, run in zip(times, runs, strict=True):
            seconds = cpu_seconds(run)
            if turn:
                part.append(seconds)
    segue, plain = map(median, times)
    return {"segue_s": segue, "plain_s": plain, "ratio": plain / segue}


@contextlib.contextmanager
def replaced_by_plain(part: Part) -> Iterator[None]:
    """Inside the block, segue uses the plain way."""
    with contextlib.ExitStack() as stack:
        for owner, name, plain in part.replaced:
            stack.enter_context(patch.object(owner, name, plain))
        if part.loop is not None:
            stack.enter_context(part.loop.never())
        yield


def training_steps(part: Part) -> tuple[Run, Run]:
    """An epoch of few batches, with segue's way and with the plain way."""
    assert part.model is not None
    name, settings, num_items = part.model
    kind = find(name)
    log = synthetic.random(num_users=256, num_items=num_items, length=60, seed=0)
    torch.manual_seed(0)
    model = kind(kind.configure({**settings, "epochs": 1}), Sizes(log.num_users, log.num_items))

    def plain() -> None:
        with replaced_by_plain(part):
            fit(model, log)

    def segue() -> None:
        with part.loop.always() if part.loop else contextlib.nullcontext():
            fit(model, log)

    return segue, plain


def compare_parts(parts: Mapping[str, Part], repeat: int, *, steps: bool = True) -> dict[str, dict[str, Any]]:
    """What each of some parts replaces, and the times of its layer and, with `steps`, its step."""
    results: dict[str, dict[str, Any]] = {}
    for name, part in parts.items():
        torch.manual_seed(0)
        with fast_matmul():
            results[name] = {"plain": part.plain, "layer": compare(part.layer(), repeat)}
        if steps and part.model is not None:
            results[name]["step"] = compare(training_steps(part), max(1, repeat // 3))
    return results
