"""`Study`: the trials of a search, in a folder that outlives the processes which work on it.

    hgn.search/
      search.json     what is searched, and where
      journal.log     every trial: its settings, its validation by epoch, how it ended (Optuna's journal)
      lock            held by the process that is just choosing what to do next
      trial-0007/     a training under way, or one that time cut short; its `lock` is held by the process at work

A lock falls with the process that held it. So a trial that is under way and not locked was left by a process that is no
more: whoever comes next takes it up, with its settings and from its last saved epoch. Needs the extra `tune`.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segue.errors import ArtefactError, ConfigError
from segue.models.base.search_space import Choice, Domain, LogUniform, Space, as_dict, nearest, points, size, text
from segue.tuning.trial import Trial

HALF = 2  # at epochs r, 2r, 4r, ... the better half of the trials goes on
DRAWS = 10  # of settings that were tried before, until others are looked up
MANY = 10_000  # points of a space, beyond which they are not looked up


@dataclass(frozen=True)
class Work:
    """A trial that this process holds.

    Attributes:
        trial: what it has come to before.
        folder: for the state of its training.
        held: the lock.
        optuna: the trial as Optuna has it; None for one that was told to be over and goes on.
    """

    trial: Trial
    folder: Path
    held: int
    optuna: Any

    def release(self) -> None:
        """Let go of it as it is, for whoever comes next."""
        os.close(self.held)

    def report(self, epoch: int, metric: float) -> bool:
        """Note the best so far after an epoch; whether the trial is behind and should be given up."""
        if self.optuna is None:
            return False
        known = self.optuna.study.get_trials(deepcopy=False)[self.trial.number].intermediate_values
        if epoch in known:
            return False
        self.optuna.report(metric, epoch)
        return bool(self.optuna.should_prune())


class Study:
    """The trials of one search.

    Args:
        folder: made where there is none.
        space: what is tried.
        identity: plain values; what is different in them is another search.
        first: settings of the first trial, or of the space what is closest to them.
        seed: of the choices.
        rung: the first epoch at which trials are compared.

    Raises:
        ConfigError: optuna is not installed, or the folder holds another search.
    """

    def __init__(
        self,
        folder: Path,
        space: Space,
        *,
        identity: Mapping[str, Any],
        first: Mapping[str, Any] | None = None,
        seed: int = 0,
        rung: int = 1,
    ) -> None:
        self._optuna = need_optuna()
        self.folder, self.space, self.seed = folder, space, seed
        close = {name: nearest(space[name], value) for name, value in (first or {}).items() if name in space}
        self.first = {name: value for name, value in close.items() if value is not None}
        if folder.exists() and not folder.is_dir():
            raise ArtefactError(f"{folder}: is a file where the search should keep its trials; move it away")
        folder.mkdir(parents=True, exist_ok=True)
        with self.turn():
            self._recognise({**identity, "space": as_dict(space)})
            backend = self._optuna.storages.journal.JournalFileBackend(str(folder / "journal.log"))
            self._study = self._optuna.create_study(
                storage=self._optuna.storages.JournalStorage(backend),
                study_name="search",
                direction="maximize",
                pruner=self._optuna.pruners.SuccessiveHalvingPruner(min_resource=rung, reduction_factor=HALF),
                load_if_exists=True,
            )

    def _recognise(self, identity: dict[str, Any]) -> None:
        """Refuse the folder of another search."""
        path, text = self.folder / "search.json", json.dumps(identity, indent=1) + "\n"
        if not path.exists():
            path.write_text(text, encoding="utf-8")
            return
        try:
            found, wanted = dict(json.loads(path.read_text(encoding="utf-8"))), json.loads(text)
        except ValueError as error:
            raise ArtefactError(f"{path}: damaged ({error}); delete {self.folder} to start afresh") from error
        odd = [key for key in wanted if found.get(key) != wanted[key]]
        if odd:
            raise ConfigError(
                f"{self.folder}: holds a search with another {' and '.join(odd)}; delete it to start afresh, or choose "
                "another folder"
            )

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The time in which this process alone reads and writes what is tried."""
        held = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield
        finally:
            os.close(held)

    def trials(self) -> list[Trial]:
        """All trials so far, in the order in which they were begun."""
        told = self._study.user_attrs
        listed = []
        for one in self._study.get_trials(deepcopy=False):
            facts = told.get(f"trial {one.number}", {})
            if "same" not in facts and set(one.params) == set(self.space):
                listed.append(Trial(one.number, self._settings(one.params), **{"state": "running", **facts}))
        return listed

    def take(self, most: int) -> Work | None:
        """The next thing to do: a trial that was left by a process that is no more, or a new one.

        Args:
            most: how many trials there shall be.

        Returns:
            None where nothing is left to begin.
        """
        with self.turn():
            for trial in self.trials():
                if trial.state == "running" and (work := self._hold(trial)):
                    return work
            for draw in range(1, DRAWS + 1):
                new = self._new(most, search=draw == DRAWS)
                if new is None:
                    return None
                if draw == DRAWS or not self._tried(new):
                    return self._hold(new)
        raise AssertionError("the last draw is taken whatever it is")

    def go_on(self) -> Work | None:
        """The best of the trials that time cut short and that nobody is at; None where there is none."""
        with self.turn():
            cut = [trial for trial in self.trials() if trial.state == "cut"]
            held = (self._hold(trial) for trial in sorted(cut, key=lambda trial: -(trial.metric or 0.0)))
            return next((work for work in held if work), None)

    def close(self, work: Work, **facts: Any) -> Trial:
        """Note what a trial came to, and let it go.

        Args:
            work: from `take` or `go_on`.
            facts: of `Trial`: state, metric, best, epochs, seconds, error.
        """
        states = self._optuna.trial.TrialState
        with self.turn():
            number, state = work.trial.number, facts["state"]
            self._study.set_user_attr(f"trial {number}", facts)
            if work.optuna is not None:
                told = {"failed": states.FAIL, "pruned": states.PRUNED}.get(state, states.COMPLETE)
                self._study.tell(number, facts["metric"] if told == states.COMPLETE else None, state=told)
            if state != "cut":
                shutil.rmtree(work.folder, ignore_errors=True)
            work.release()
        return Trial(number, work.trial.settings, **facts)

    def _hold(self, trial: Trial) -> Work | None:
        """The lock of a trial, unless another process has it."""
        folder = self.folder / f"trial-{trial.number:04d}"
        folder.mkdir(exist_ok=True)
        held = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            return None
        frozen = self._study.get_trials(deepcopy=False)[trial.number]
        under_way = not frozen.state.is_finished()
        return Work(trial, folder, held, self._optuna.trial.Trial(self._study, frozen._trial_id) if under_way else None)

    def _new(self, most: int, *, search: bool) -> Trial | None:
        """A trial of settings: the first are the defaults, then what Optuna proposes, or all that a small space has."""
        known = self.trials()
        number, there_are = len(self._study.get_trials(deepcopy=False)), size(self.space) or 2 * MANY
        if len(known) >= min(most, there_are):
            return None
        listed = there_are <= (MANY if search else most)
        fixed = self.first if number == 0 else self._untried(known) if listed else {}
        if fixed:
            self._study.enqueue_trial(self._params(fixed))
        seed = int(np.random.SeedSequence((self.seed, number)).generate_state(1)[0])
        start = min(10, max(4, most // 3))
        self._study.sampler = self._optuna.samplers.TPESampler(n_startup_trials=start, seed=seed)
        kinds = {name: self._distribution(domain) for name, domain in self.space.items()}
        asked = self._study.ask(fixed_distributions=kinds)
        return Trial(asked.number, self._settings(asked.params), "running")

    def _tried(self, trial: Trial) -> bool:
        """Whether the same settings were tried before: then this trial is taken back."""
        same = [one.number for one in self.trials() if one.settings == trial.settings and one.number < trial.number]
        if same:
            self._study.set_user_attr(f"trial {trial.number}", {"same": same[0]})
            self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)
        return bool(same)

    def _untried(self, known: list[Trial]) -> dict[str, Any]:
        """One of the points of a small space that nobody has tried; which, the seed says."""
        tried = [trial.settings for trial in known]
        values = [points(domain) or () for domain in self.space.values()]
        all_points = [dict(zip(self.space, point, strict=True)) for point in itertools.product(*values)]
        order = np.random.default_rng(self.seed).permutation(len(all_points))
        return next(all_points[place] for place in order if all_points[place] not in tried)

    def _params(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings as Optuna's values."""
        return {
            name: _label(value) if isinstance(self.space[name], Choice) else value for name, value in settings.items()
        }

    def _settings(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Optuna's values as settings: it knows choices by their text."""
        settings = dict(params)
        for name, domain in self.space.items():
            if isinstance(domain, Choice):
                settings[name] = next(value for value in domain.values if _label(value) == params[name])
        return {name: settings[name] for name in self.space}

    def _distribution(self, domain: Domain) -> Any:
        kinds = self._optuna.distributions
        if isinstance(domain, Choice):
            return kinds.CategoricalDistribution([_label(value) for value in domain.values])
        listed = points(domain)
        high = listed[-1] if listed else domain.high
        whole = listed is not None and all(isinstance(value, int) for value in listed)
        if isinstance(domain, LogUniform):
            kind = kinds.IntDistribution if whole else kinds.FloatDistribution
            return kind(domain.low, domain.high, log=True)
        if whole:
            return kinds.IntDistribution(domain.low, high, step=domain.step or 1)
        return kinds.FloatDistribution(domain.low, high, step=domain.step)


def _label(value: Any) -> Any:
    """Optuna keeps no tuples."""
    return text(value) if isinstance(value, tuple) else value


def need_optuna() -> Any:
    """Optuna, or a `ConfigError` that names the extra it comes with."""
    try:
        import optuna
        import optuna.storages.journal
    except ImportError as error:
        raise ConfigError(f'searching needs {error.name}, which is not installed: pip install "segue[tune]"') from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
