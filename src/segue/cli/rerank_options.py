"""`segue run MODEL DATA --rerank FIRST`: two stages, the first by its name or saved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segue.cli.evaluate import protocol_of, result
from segue.cli.options import settings
from segue.errors import ArtefactError, ConfigError

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.experiments.experiment import Experiment
    from segue.experiments.rerank import Ready, Reranked


@Parameter(name="*", group="Two stages")
@dataclass(frozen=True, kw_only=True)
class RerankOptions:
    """A first stage that returns candidates, for the model to put in order.

    Attributes:
        rerank: The first stage: a model, such as seq-knn, or the folder of a saved one.
        rerank_preset: A named set of settings of the first stage.
        rerank_set: Settings of the first stage: --rerank-set reach=30 back=0.6.
        candidates: How many items the first stage returns; 100 by default.
    """

    rerank: str | None = None
    rerank_preset: str | None = None
    rerank_set: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=(), metavar="NAME=VALUE")] = None
    candidates: int | None = None

    @property
    def name(self) -> str:
        """What a folder may be called after the first stage; nothing where there is none."""
        return "" if self.rerank is None else f"-after-{Path(self.rerank).name}"

    def first(self, second: Experiment) -> Experiment | None:
        """How the first stage is trained; None where there is none, or it is saved.

        Raises:
            ConfigError: options of a first stage that there is not, or that is trained already; an unknown model.
        """
        given = {"preset": self.rerank_preset, "set": self.rerank_set}
        named = [f"--rerank-{option}" for option, value in given.items() if value is not None]
        if self.rerank is None:
            for option in [*named, *([] if self.candidates is None else ["--candidates"])]:
                raise ConfigError(f"{option}: of which first stage? Name it with --rerank, such as --rerank seq-knn")
            return None
        if not (Path(self.rerank) / "model.json").is_file():
            chosen = settings(self.rerank_set)
            return replace(second, model=self.rerank, preset=self.rerank_preset, settings=chosen, baseline=True)
        for option in named:
            raise ConfigError(f"{option}: {self.rerank} is trained already; give the name of a model to train another")
        if second.refit:
            raise ConfigError(f"--refit: {self.rerank} is trained already; give the name of a model to train it anew")
        return None

    def run(self, second: Experiment, log: Log, folder: Path) -> Reranked:
        """Train, or load, the first stage, train the second, and test both; `folder` keeps an interrupted training."""
        from segue.experiments.rerank import rerank

        first = self.first(second) or self._ready(second, log)
        most = {} if self.candidates is None else {"candidates": self.candidates}
        return rerank(first, second, log, **most, folder=folder)

    def _ready(self, second: Experiment, log: Log) -> Ready:
        from segue.experiments.rerank import Ready
        from segue.serving.saved_model import load

        place = Path(str(self.rerank))
        saved = load(place)
        protocol, asked = protocol_of(place, saved, log), second.protocol
        if protocol.fingerprint != asked.fingerprint:
            raise ArtefactError(
                f"{place}: was trained under {protocol.name} ({protocol.fingerprint}), and {asked.name} "
                f"({asked.fingerprint}) is asked for; train both under the same"
            )
        if saved.about["recipe"]["refit"]:
            raise ArtefactError(
                f"{place}: was refitted on train and validation, so nothing is left to choose an epoch by; train it "
                "without --refit"
            )
        return Ready(saved.model, replace(result(place, saved, log, asked.ks), baseline=True), saved.about)
