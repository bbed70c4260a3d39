"""`ModelOptions`, `TrainingOptions` and `BudgetOptions`: what is trained, how, and for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.cli.help import BUDGET_GROUP, MODEL_GROUP, TRAINING_GROUP
from segue.errors import ConfigError

if TYPE_CHECKING:
    from segue.evaluation.protocol import Protocol
    from segue.experiments.experiment import Experiment
    from segue.training.budget import TimeBudget

SettingsOption = Annotated[list[str] | None, Parameter(consume_multiple=True, negative=(), metavar="NAME=VALUE")]

MAX_SEEDS = 1000  # trainings of one command


@Parameter(name="*", group=MODEL_GROUP)
@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The settings of a model.

    Attributes:
        preset: Named set of settings of the model, such as paper, author or recbole for hgn.
        set: Settings of the model, such as --set lr=0.01 epochs=20. `segue models MODEL` lists them; RecBole's names
            of them are accepted too.
    """

    preset: str | None = None
    set: SettingsOption = None

    @property
    def settings(self) -> dict[str, str]:
        """The settings as they were given: text by name."""
        return parse_settings(self.set)


MODEL_DEFAULTS = ModelOptions()


@Parameter(name="*", group=TRAINING_GROUP)
@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How a model is trained.

    Attributes:
        seed: Seed of the random numbers: initial weights, order of examples, negatives and the proposals of a search.
        monitor: Validation metric that chooses the epoch, and in a search the settings. The default is ndcg@10, or rmse
            where ratings are predicted.
        eval_every: Number of epochs between two evaluations on the validation data.
        patience: Number of evaluations without improvement before training stops.
        refit: After the number of epochs is chosen, train again on training and validation data together, before the
            test. `segue compare` does so by default under the protocol hgn.
        final: After the test, fit the model that is saved on the whole log, test data included, with the same settings
            and epochs. The figures stay those of the model that was trained without the test data. `segue compare`
            does so for the best model, and saves it to NAME-final.
    """

    seed: int = 0
    monitor: str | None = None
    eval_every: int = 1
    patience: int = 10
    refit: Annotated[bool | None, Parameter(show_default=False)] = None
    final: Annotated[bool, Parameter(negative=())] = False

    @property
    def of_validation(self) -> list[str]:
        """The given options that choose an epoch on validation data."""
        default = TRAINING_DEFAULTS
        names = ("monitor", "eval_every", "patience")
        changed = [name for name in names if getattr(self, name) != getattr(default, name)]
        return [f"--{name.replace('_', '-')}" for name in changed]


TRAINING_DEFAULTS = TrainingOptions()


@Parameter(name="*", group=TRAINING_GROUP)
@dataclass(frozen=True, kw_only=True)
class RunTrainingOptions(TrainingOptions):
    """How the model of one run is trained.

    Attributes:
        seeds: Number of trainings with the seeds SEED, SEED + 1, and so on. The table shows their mean in one row, with
            the standard deviation between them. The model that is best on validation is saved.
        minutes: Limit, in minutes, on the training with its validations, and on what --refit and --final train.
            Training stops at the end of the last epoch that there is time for, and the best epoch so far is kept.
            Reading the data, the test and the baselines are not counted. A model that is fitted in one step, such as
            item-knn, is not stopped.
    """

    seeds: int = 1
    minutes: float | None = None

    @property
    def of_another_model(self) -> RunTrainingOptions:
        """The options that the training of another model needs, so that its figures can be compared."""
        return RunTrainingOptions(refit=self.refit, final=self.final)

    def check(self) -> None:
        """Find wrong options early.

        Raises:
            ConfigError: as `all_seeds` and `budget`.
        """
        self.budget()
        _ = self.all_seeds

    @property
    def all_seeds(self) -> range:
        """The seeds of all trainings.

        Raises:
            ConfigError: their number is below 1 or above `MAX_SEEDS`, or a seed is too large.
        """
        if not 1 <= self.seeds <= MAX_SEEDS:
            raise ConfigError(f"--seeds {self.seeds}: must be at least 1 and at most {MAX_SEEDS:,}")
        if self.seed + self.seeds > 2**63:
            raise ConfigError(f"--seeds {self.seeds}: the last seed would be above 2^63 - 1")
        return range(self.seed, self.seed + self.seeds)

    def budget(self) -> TimeBudget | None:
        """The limit on the time, which begins now; None without one.

        Raises:
            ConfigError: it is not above 0.
        """
        from segue.training.budget import TimeBudget

        if self.minutes is None:
            return None
        if not 0 < self.minutes < float("inf"):
            raise ConfigError(f"--minutes {self.minutes:g}: must be above 0")
        return TimeBudget(60 * self.minutes)


RUN_TRAINING_DEFAULTS = RunTrainingOptions()


@Parameter(name="*", group=BUDGET_GROUP)
@dataclass(frozen=True, kw_only=True)
class BudgetOptions:
    """How many settings are tried, and for how long.

    Attributes:
        trials: Number of trials for each model, including those of earlier calls. The default is 30 for `segue search`
            and 10 for `segue compare`.
        minutes: Limit, in minutes, on the time of all trials and of the last training of each best model. Trials are
            stopped in the middle of an epoch. `segue search` stops its last training, with --final, at the end of one;
            reading the data, the test and the baselines are not counted. `segue compare` counts the tests, ends what
            still runs, and names the models that it leaves out; the report and the fit of --final come after the
            limit. The default is no limit for `segue search` and 40 for `segue compare`.
        jobs: Number of parallel processes. The default is 1 for `segue search` and one for each core, up to 4, for
            `segue compare`. To add a process, start the same search in another terminal.
    """

    trials: int | None = None
    minutes: float | None = None
    jobs: int | None = None


BUDGET_DEFAULTS = BudgetOptions()


def parse_settings(pairs: Sequence[str] | None, option: str = "--set") -> dict[str, str]:
    """Settings from the words after `--set`.

    >>> parse_settings(["lr=0.01", "batch-size=64"])
    {'lr': '0.01', 'batch_size': '64'}
    """
    settings: dict[str, str] = {}
    if pairs is not None and not pairs:
        raise ConfigError(f"{option}: needs name=value, such as {option} epochs=20 lr=0.01")
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConfigError(f"{option} {pair}: must look like name=value, such as {option} epochs=20")
        settings[name.strip().replace("-", "_")] = value.strip()
    return settings


def make_experiment(
    model: str,
    protocol: Protocol,
    options: ModelOptions,
    training: TrainingOptions,
    *,
    like: Mapping[str, Any] | None = None,
) -> Experiment:
    """The experiment that the options describe.

    Args:
        model: name of the model.
        protocol: its protocol.
        options: of the model.
        training: of the training.
        like: settings of another model, which those of the options change.

    Raises:
        ConfigError: an unknown model, preset or setting, or a value out of its range; or an option that needs
            validation data, where the protocol has none.
    """
    from segue.experiments.experiment import Experiment
    from segue.models.base.recbole import own_settings
    from segue.models.registry import find

    if protocol.arguments.get("valid") == 0 and protocol.by != "given":  # a log that brings its split may have some
        for option in [*training.of_validation, *(["--sample-users"] if protocol.sample_users else [])]:
            raise ConfigError(f"{option}: needs validation data, and --valid 0 leaves none; leave one of them out")
    given = {**(like or {}), **options.settings}
    return Experiment(
        model=model,
        protocol=protocol,
        settings={**(like or {}), **own_settings(options.settings, find(model).Config.known_settings(given))},
        preset=options.preset,
        seed=training.seed,
        monitor=training.monitor or "",
        eval_every=training.eval_every,
        patience=training.patience,
        refit=bool(training.refit),
        final=training.final,
    )
