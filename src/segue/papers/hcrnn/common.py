"""The methods of HCRNN's Table 3, and those that it leaves out: how each is trained, and the printed figures.

Song, Cha and Moon, AAAI 2019. Everything learns from the training part alone; a network is tested as it was in the
epoch with the best Recall@20 on validation. The printed row of Item-KNN contradicts itself (with Recall@3 = 0, MRR@20
is at most a quarter of Recall@20) and is not held against ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.papers.methods import Blended, Method

PROTOCOL = Protocol.named("session").at((3, 20))
MONITOR = "recall@20"
METRICS = ("recall@3", "recall@20", "mrr@3", "mrr@20")
SEEDS = (0, 1, 2)
BEST = "HCRNN-3 + Bi"
Settings = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Named:
    """A line on every log: how it is trained, and the paper's figures in percent.

    Attributes:
        model: its name in `MODELS`.
        preset: of the model.
        settings: what departs from it.
        elsewhere: settings of one log alone, by log.
        printed: (Recall@3, Recall@20, MRR@3, MRR@20) by log, in percent.
        patience: epochs without progress before training stops.
        kind: "network", "baseline" of the paper, or "rival" that it leaves out.
        seeds: how many on the authors' split of CiteULike; elsewhere it is one.
        everywhere: whether it is trained on the other logs too, where an epoch may take minutes.
    """

    model: str
    preset: str | None = None
    settings: Settings = field(default_factory=dict)
    elsewhere: Mapping[str, Settings] = field(default_factory=dict)
    printed: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    patience: int = 3
    kind: str = "baseline"
    seeds: int = 1
    everywhere: bool = True

    def method(self, name: str, log: str, protocol: Protocol, seeds: tuple[int, ...]) -> Method:
        """The line called `name` on one log."""
        settings = {**self.settings, **self.elsewhere.get(log, {})}
        paper = {metric: value / 100 for metric, value in zip(METRICS, self.printed.get(log, ()), strict=False)}
        recipe = Experiment(
            model=self.model,
            preset=self.preset,
            protocol=protocol,
            settings=settings,
            monitor=MONITOR,
            patience=self.patience,
        )
        return Method(name=name, recipe=recipe, seeds=seeds, paper=paper)


def printed(citeulike: tuple[float, ...], movielens: tuple[float, ...]) -> dict[str, tuple[float, ...]]:
    """The paper's figures of one method."""
    return {"citeulike": citeulike, "hcrnn-movielens": movielens}


def falling(lr: float, steps: int, epochs: int, **more: Any) -> Settings:
    """A learning rate that falls to a twentieth of `lr` in so many steps, those of all epochs."""
    fall = {"lr": lr, "final_lr": lr / 20, "lr_decay_power": 1.0, "lr_decay_steps": steps}
    return {**fall, "epochs": epochs, **more}


# the paper has batches of 512 prefixes, which 16 sequences have here, and a rate of .001 for up to 200 epochs. On
# validation of CiteULike GRU4REC has Recall@20 = .2555 after 21 epochs at .002, .2537 after 8 of a rate that falls
PREFIXES: Settings = falling(5e-3, 1140, 14, batch_size=16)
FEWER: Mapping[str, Settings] = {"hcrnn-movielens": falling(5e-3, 2922, 14)}
HCRNN: Settings = falling(7e-3, 816, 12)
SLOW: Mapping[str, Settings] = {"hcrnn-movielens": falling(7e-3, 1440, 6)}


def hcrnn(variant: int, attention: str, *figures: tuple[float, ...], **more: Any) -> Named:
    """HCRNN as its authors' program has it."""
    settings = {**HCRNN, "variant": variant, "attention": attention}
    return Named(
        model="hcrnn",
        preset="author",
        settings=settings,
        elsewhere=SLOW,
        printed=printed(*figures),
        kind="network",
        **more,
    )


NAMED: Mapping[str, Named] = {
    "POP": Named(model="pop", printed=printed((1.44, 5.78, 0.92, 1.44), (2.43, 12.51, 1.54, 2.65))),
    "S-POP": Named(model="s-pop", printed=printed((1.26, 4.99, 0.79, 1.23), (2.27, 12.23, 1.42, 2.52))),
    "Item-KNN": Named(model="item-knn", preset="gru4rec"),
    "BPR-MF": Named(
        model="bprmf",
        settings={"epochs": 40, "lr": 5e-3},
        printed=printed((0.49, 3.15, 0.27, 0.60), (1.69, 8.93, 1.07, 1.91)),
    ),
    "LSTM4REC": Named(
        model="lstm4rec",
        settings=PREFIXES,
        elsewhere=FEWER,
        printed=printed((7.07, 23.33, 4.93, 6.82), (8.52, 32.80, 5.63, 8.45)),
    ),
    "GRU4REC": Named(
        model="gru",
        preset="hcrnn",
        settings=PREFIXES,
        elsewhere=FEWER,
        printed=printed((8.37, 24.19, 5.98, 7.86), (8.50, 32.74, 5.60, 8.42)),
    ),
    "NARM": Named(
        model="narm",
        preset="hcrnn",
        settings=PREFIXES,
        elsewhere=FEWER,
        printed=printed((7.81, 24.82, 5.40, 7.41), (9.14, 33.42, 6.09, 8.93)),
        seeds=3,
    ),
    "STAMP": Named(
        model="stamp",
        preset="author",
        settings=falling(7e-3, 1620, 20, batch_size=16, window=100, dropout=0.25),
        elsewhere=FEWER,
        printed=printed((5.09, 21.93, 3.25, 5.22), (3.95, 20.52, 2.65, 4.47)),
    ),
    "HCRNN-1": hcrnn(1, "single", (8.60, 25.36, 6.18, 8.16), (9.23, 33.78, 6.13, 9.00), everywhere=False),
    "HCRNN-2": hcrnn(2, "single", (8.83, 25.10, 6.41, 8.38), (9.22, 33.76, 6.14, 9.01), everywhere=False),
    "HCRNN-3": hcrnn(3, "single", (9.21, 25.42, 6.65, 8.61), (9.38, 33.67, 6.23, 9.08), everywhere=False),
    "HCRNN-3 + Bi, running theta": Named(
        model="hcrnn-running", preset="author", settings=HCRNN, elsewhere=SLOW, kind="rival"
    ),
    "GRU, tied + LN": Named(
        model="gru",
        settings=falling(5e-3, 1620, 20, batch_size=16, dropout=0.25, hidden_dropout=0.5),
        patience=8,
        elsewhere=FEWER,
        kind="rival",
    ),
    "Sequential rules": Named(
        model="seq-knn",
        preset="rules",
        settings={"max_distance": 30, "backward_weight": 0.6, "position_decay": 0.7, "shrinkage": 5},
        kind="rival",
    ),
    BEST: hcrnn(3, "bi", (9.33, 25.81, 6.74, 8.70), (9.53, 33.83, 6.38, 9.21), seeds=3),
}
BLENDED = ("Sequential rules", "GRU, tied + LN")


def methods_on(log: str, protocol: Protocol) -> tuple[Method | Blended, ...]:
    """The lines of one log, and a blend of the simplest with the best."""
    ours = (log, protocol) == ("citeulike", PROTOCOL)
    methods = {
        name: named.method(name, log, protocol, SEEDS[: named.seeds if ours else 1])
        for name, named in NAMED.items()
        if ours or named.everywhere
    }
    first, second = BLENDED
    parts = tuple(replace(methods[name], seeds=SEEDS[:1]) for name in BLENDED)
    return (*methods.values(), Blended(name=f"{first} with {second}", parts=(parts[0], parts[1])))
