"""The methods of HCRNN's Table 3 and further baselines: how each is trained, and the published figures.

Song, Cha and Moon, AAAI 2019. All models are trained on the training part alone; a network is tested with the weights
of its best epoch by Recall@20 on validation. The published row of Item-KNN contradicts itself and is left out: with
Recall@3 = 0, MRR@20 is at most a quarter of Recall@20.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.papers.methods import SEEDS, BlendedMethod, Method

PROTOCOL = Protocol.named("session").with_cut_offs((3, 20))
MONITOR = "recall@20"
METRICS = ("recall@3", "recall@20", "mrr@3", "mrr@20")
BEST_VARIANT = "HCRNN-3 + Bi"
Settings = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class MethodSpec:
    """A method on every log: how it is trained, and the published figures in percent.

    Attributes:
        model: its name in `MODELS`.
        preset: of the model.
        settings: settings that differ from the preset.
        settings_by_log: further settings for one log, by log.
        published: (Recall@3, Recall@20, MRR@3, MRR@20) by log, in percent.
        patience: epochs without progress before training stops.
        kind: "network" (the paper's model), "baseline" (of the paper), or "extra" (a baseline that it omits).
        seeds: number of seeds on the authors' split of CiteULike; one on the other logs.
        on_all_logs: whether it is also trained on the other logs, where an epoch may take minutes.
    """

    model: str
    preset: str | None = None
    settings: Settings = field(default_factory=dict)
    settings_by_log: Mapping[str, Settings] = field(default_factory=dict)
    published: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    patience: int = 3
    kind: str = "baseline"
    seeds: int = 1
    on_all_logs: bool = True

    def method(self, name: str, log: str, protocol: Protocol, seeds: tuple[int, ...]) -> Method:
        """The method on one log."""
        settings = {**self.settings, **self.settings_by_log.get(log, {})}
        figures = {metric: value / 100 for metric, value in zip(METRICS, self.published.get(log, ()), strict=False)}
        experiment = Experiment(
            model=self.model,
            preset=self.preset,
            protocol=protocol,
            settings=settings,
            monitor=MONITOR,
            patience=self.patience,
        )
        return Method(name=name, experiment=experiment, seeds=seeds, published=figures)


def published_percent(citeulike: tuple[float, ...], movielens: tuple[float, ...]) -> dict[str, tuple[float, ...]]:
    """The published figures of one method in percent, by log."""
    return {"citeulike": citeulike, "hcrnn-movielens": movielens}


def decaying_lr(lr: float, steps: int, epochs: int, **more: Any) -> Settings:
    """Settings of a learning rate that decays linearly from `lr` to a twentieth of it in `steps` training steps."""
    decay = {"lr": lr, "final_lr": lr / 20, "lr_decay_power": 1.0, "lr_decay_steps": steps}
    return {**decay, "epochs": epochs, **more}


# The paper has batches of 512 prefixes, as many as 16 sequences have here, and a learning rate of .001 for up to 200
# epochs. On validation of CiteULike, GRU4REC has Recall@20 = .2555 after 21 epochs with a learning rate of .002, and
# .2537 after 8 epochs with a decaying one.
PREFIX_SETTINGS: Settings = decaying_lr(5e-3, 1140, 14, batch_size=16)
PREFIX_SETTINGS_BY_LOG: Mapping[str, Settings] = {"hcrnn-movielens": decaying_lr(5e-3, 2922, 14)}
HCRNN_SETTINGS: Settings = decaying_lr(7e-3, 816, 12)
HCRNN_SETTINGS_BY_LOG: Mapping[str, Settings] = {"hcrnn-movielens": decaying_lr(7e-3, 1440, 6)}


def hcrnn(variant: int, attention: str, *figures: tuple[float, ...], **more: Any) -> MethodSpec:
    """A variant of HCRNN with the settings of its authors' program."""
    settings = {**HCRNN_SETTINGS, "variant": variant, "attention": attention}
    return MethodSpec(
        model="hcrnn",
        preset="author",
        settings=settings,
        settings_by_log=HCRNN_SETTINGS_BY_LOG,
        published=published_percent(*figures),
        kind="network",
        **more,
    )


METHOD_SPECS: Mapping[str, MethodSpec] = {
    "POP": MethodSpec(model="pop", published=published_percent((1.44, 5.78, 0.92, 1.44), (2.43, 12.51, 1.54, 2.65))),
    "S-POP": MethodSpec(
        model="s-pop", published=published_percent((1.26, 4.99, 0.79, 1.23), (2.27, 12.23, 1.42, 2.52))
    ),
    "Item-KNN": MethodSpec(model="item-knn", preset="gru4rec"),
    "BPR-MF": MethodSpec(
        model="bprmf",
        settings={"epochs": 40, "lr": 5e-3},
        published=published_percent((0.49, 3.15, 0.27, 0.60), (1.69, 8.93, 1.07, 1.91)),
    ),
    "LSTM4REC": MethodSpec(
        model="lstm4rec",
        settings=PREFIX_SETTINGS,
        settings_by_log=PREFIX_SETTINGS_BY_LOG,
        published=published_percent((7.07, 23.33, 4.93, 6.82), (8.52, 32.80, 5.63, 8.45)),
    ),
    "GRU4REC": MethodSpec(
        model="gru",
        preset="hcrnn",
        settings=PREFIX_SETTINGS,
        settings_by_log=PREFIX_SETTINGS_BY_LOG,
        published=published_percent((8.37, 24.19, 5.98, 7.86), (8.50, 32.74, 5.60, 8.42)),
    ),
    "NARM": MethodSpec(
        model="narm",
        preset="hcrnn",
        settings=PREFIX_SETTINGS,
        settings_by_log=PREFIX_SETTINGS_BY_LOG,
        published=published_percent((7.81, 24.82, 5.40, 7.41), (9.14, 33.42, 6.09, 8.93)),
        seeds=3,
    ),
    "STAMP": MethodSpec(
        model="stamp",
        preset="author",
        settings=decaying_lr(7e-3, 1620, 20, batch_size=16, window=100, dropout=0.25),
        settings_by_log=PREFIX_SETTINGS_BY_LOG,
        published=published_percent((5.09, 21.93, 3.25, 5.22), (3.95, 20.52, 2.65, 4.47)),
    ),
    "HCRNN-1": hcrnn(1, "single", (8.60, 25.36, 6.18, 8.16), (9.23, 33.78, 6.13, 9.00), on_all_logs=False),
    "HCRNN-2": hcrnn(2, "single", (8.83, 25.10, 6.41, 8.38), (9.22, 33.76, 6.14, 9.01), on_all_logs=False),
    "HCRNN-3": hcrnn(3, "single", (9.21, 25.42, 6.65, 8.61), (9.38, 33.67, 6.23, 9.08), on_all_logs=False),
    "HCRNN-3 + Bi, running theta": MethodSpec(
        model="hcrnn-running",
        preset="author",
        settings=HCRNN_SETTINGS,
        settings_by_log=HCRNN_SETTINGS_BY_LOG,
        kind="extra",
    ),
    "GRU, tied + LN": MethodSpec(
        model="gru",
        settings=decaying_lr(5e-3, 1620, 20, batch_size=16, dropout=0.25, hidden_dropout=0.5),
        patience=8,
        settings_by_log=PREFIX_SETTINGS_BY_LOG,
        kind="extra",
    ),
    "Sequential rules": MethodSpec(
        model="seq-knn",
        preset="rules",
        settings={"max_distance": 30, "backward_weight": 0.6, "position_decay": 0.7, "shrinkage": 5},
        kind="extra",
    ),
    BEST_VARIANT: hcrnn(3, "bi", (9.33, 25.81, 6.74, 8.70), (9.53, 33.83, 6.38, 9.21), seeds=3),
}
BLENDED = ("Sequential rules", "GRU, tied + LN")


def methods_on(log: str, protocol: Protocol) -> tuple[Method | BlendedMethod, ...]:
    """The methods for one log, and a blend of sequential rules with a GRU."""
    authors_split = (log, protocol) == ("citeulike", PROTOCOL)
    methods = {
        name: spec.method(name, log, protocol, SEEDS[: spec.seeds if authors_split else 1])
        for name, spec in METHOD_SPECS.items()
        if authors_split or spec.on_all_logs
    }
    first, second = BLENDED
    parts = tuple(replace(methods[name], seeds=SEEDS[:1]) for name in BLENDED)
    return (*methods.values(), BlendedMethod(name=f"{first} with {second}", parts=(parts[0], parts[1])))
