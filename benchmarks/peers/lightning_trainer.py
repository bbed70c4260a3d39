"""A trainer of Lightning with a clock and nothing else: for RecTools, RePlay and WarpRec.

This module runs in every peer's environment, so it imports only the standard library.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.measurement import Clock, Seconds

LOSS = ("train_loss_epoch", "train_loss", "loss")  # of RecTools and RePlay, RePlay, WarpRec


def lightning_trainer(lightning: Any, args: argparse.Namespace, **settings: Any) -> tuple[Any, list[Seconds]]:
    """A trainer, and the list to which it will add the seconds and the loss of each epoch, batch making included.

    Args:
        lightning: the module `lightning.pytorch` or `pytorch_lightning`.
        args: the options of the measurement.
        settings: more settings of the trainer.
    """
    epochs: list[Seconds] = []

    class Stopwatch(lightning.Callback):  # type: ignore[misc]
        def on_train_epoch_start(self, *_: Any) -> None:
            if not epochs:
                self.clock = Clock()

        def on_train_epoch_end(self, trainer: Any, *_: Any) -> None:
            loss = next(float(trainer.callback_metrics[name]) for name in LOSS if name in trainer.callback_metrics)
            epochs.append({**self.clock.seconds(), "loss": loss})
            self.clock = Clock()

    trainer = lightning.Trainer(
        max_epochs=args.warm_up + args.repeat,
        limit_train_batches=args.batches or 1.0,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Stopwatch()],
        **settings,
    )
    return trainer, epochs
