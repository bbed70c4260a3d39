"""`RerankOptions`: `segue run MODEL DATA --rerank FIRST`, where a first model returns candidates for MODEL to rank."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from segue.cli.help import STAGES_GROUP
from segue.cli.next_step import recommend_command, run_command
from segue.cli.options.protocol import EvaluationOptions
from segue.cli.options.training import ModelOptions, SettingsOption, parse_settings
from segue.cli.saved_models import ModelClasses, load_saved
from segue.errors import ArtefactError, ConfigError
from segue.folders import is_folder_of

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.experiments.experiment import Experiment
    from segue.experiments.outcome import Outcome
    from segue.experiments.rerank import TrainedStage
    from segue.models.base.model import Model
    from segue.training.budget import TimeBudget


@Parameter(name="*", group=STAGES_GROUP)
@dataclass(frozen=True, kw_only=True)
class RerankOptions:
    """A first stage that returns candidates; MODEL is the second stage, which ranks them.

    Attributes:
        rerank: The first stage: the name of a model, such as seq-knn, or the folder of a saved model.
        rerank_preset: Named set of settings of the first stage.
        rerank_set: Settings of the first stage, such as --rerank-set window=30.
        candidates: Number of items that the first stage returns. The default is 100.
    """

    rerank: str | None = None
    rerank_preset: str | None = None
    rerank_set: SettingsOption = None
    candidates: int | None = None
    model_class: ModelClasses = ()

    @property
    def is_saved(self) -> bool:
        """Whether the first stage is a saved model."""
        return self.rerank is not None and is_folder_of("saved model", self.rerank)

    @property
    def name(self) -> str | None:
        """The name of the first stage, for the folder of the result; None without a first stage."""
        from segue.models.registry import find

        if self.rerank is None:
            return None
        return Path(self.rerank).name if self.is_saved else find(self.rerank).name

    def stage_names(self, second: Experiment) -> list[str]:
        """The names of both stages, the second one first; of one model without a first stage.

        Raises:
            ConfigError: as `first_stage`.
        """
        self.first_stage(second)
        return [second.name, *([self.name] if self.name else [])]

    def stages(self, second: Experiment) -> list[Experiment]:
        """How the stages are trained, in their order, without a saved one; errors as in `first_stage`."""
        first = self.first_stage(second)
        return [second] if first is None else [first, second]

    @property
    def num_candidates(self) -> int:
        """The number of items that the first stage returns."""
        return 100 if self.candidates is None else self.candidates

    @property
    def classes(self) -> list[str]:
        """The models that the first stage consists of, as far as the options name them."""
        trained = [] if self.rerank is None or self.is_saved else [self.rerank]
        return [*trained, *self.model_class]

    def first_stage(self, second: Experiment) -> Experiment | None:
        """How the first stage is trained; None without one, and for a saved one.

        Raises:
            ConfigError: an option of a first stage that is missing or already trained; an unknown model or setting.
        """
        from segue.models.base.recbole import own_settings
        from segue.models.registry import find

        given = {"preset": self.rerank_preset, "set": self.rerank_set}
        options = [f"--rerank-{option}" for option, value in given.items() if value is not None]
        if self.rerank is None:
            others = {"--candidates": self.candidates is not None, "--model-class": self.model_class}
            for option in [*options, *(option for option, is_given in others.items() if is_given)]:
                raise ConfigError(f"{option}: needs a first stage; name it with --rerank, such as --rerank seq-knn")
            return None
        if not self.is_saved:
            settings = parse_settings(self.rerank_set, "--rerank-set")
            settings = own_settings(settings, find(self.rerank).Config.known_settings(settings))
            return replace(second, model=self.rerank, preset=self.rerank_preset, settings=settings, baseline=True)
        for option in options:
            raise ConfigError(f"{option}: {self.rerank} is trained already; give the name of a model to train another")
        if second.refit:
            raise ConfigError(f"--refit: {self.rerank} is trained already; give the name of a model to train it again")
        if second.final:
            raise ConfigError(
                f"--rerank {self.rerank}: is trained already, and both stages are to be fitted on the whole log; give "
                "the name of a model"
            )
        return None

    def train_and_test(self, second: Experiment, log: Log, folder: Path, budget: TimeBudget | None = None) -> Outcome:
        """Train and test the model, after a first stage if there is one; an interrupted training stays in `folder`."""
        from segue.experiments.rerank import train_and_test_stages

        if self.rerank is None:
            return second.train_and_test(log, folder=folder, budget=budget)
        first, candidates = self.first_stage(second) or self._load(second, log), self.num_candidates
        return train_and_test_stages(first, second, log, candidates=candidates, folder=folder, budget=budget)

    def fit(self, second: Experiment, log: Log, folder: Path) -> tuple[Model, dict[str, Any]]:
        """The model fitted on the whole log, of two stages if there is a first one, and what is stored with it."""
        from segue.experiments.outcome import about_fit
        from segue.experiments.rerank import fit_stages

        first = self.first_stage(second)
        if first is None:
            model, final = second.fit_whole(log, folder=folder)
            return model, about_fit(second, final)
        return fit_stages(first, second, log, candidates=self.num_candidates, folder=folder)

    def command(self, log: Log, data: str, *options: object) -> str:
        """The next command where the first stage alone is better: it recommends with it, or trains and saves it."""
        if self.is_saved:
            return recommend_command(Path(str(self.rerank)), log, self.model_class)
        alone = ModelOptions(preset=self.rerank_preset, set=self.rerank_set)
        return run_command(str(self.rerank), data, alone, *options)

    def _load(self, second: Experiment, log: Log) -> TrainedStage:
        """The saved first stage.

        Raises:
            ArtefactError: it was trained under another protocol, or on the validation data.
        """
        from segue.evaluation.protocol import differences
        from segue.experiments.rerank import TrainedStage
        from segue.experiments.saved_models import check_not_refitted, evaluate_saved, protocol_on

        folder = Path(str(self.rerank))
        saved = load_saved(folder, self.model_class)
        trained, current = protocol_on(saved, log), second.protocol
        if trained.fingerprint != current.fingerprint:
            raise ArtefactError(
                f"{folder}: was trained under {trained.name} ({trained.fingerprint}), but this run uses {current.name} "
                f"({current.fingerprint}); they differ in {differences(trained, current)}; train both under the same "
                "protocol"
            )
        check_not_refitted(saved, "an epoch")
        result = evaluate_saved(saved, log, adapt=EvaluationOptions(k=list(current.cut_offs)).adapt)
        return TrainedStage(saved.model, replace(result, baseline=True), saved.about)


RERANK_DEFAULTS = RerankOptions()
