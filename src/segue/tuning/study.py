"""`Study`: the trials of a search, stored in a folder that several processes can share.

    hgn.search/
      search.json     what is searched: model, settings, protocol, log, space
      journal.log     every trial: its settings, its validation metric by epoch, how it ended (Optuna's journal)
      lock            held by the process that is choosing the next trial
      journal.lock    held by the process that is writing to the journal
      trial-0007/     a training that is running or out of time; its `lock` is held by the process that runs it

The operating system releases the locks of a process that ends. A running trial whose lock is free was therefore
interrupted: the next free process resumes it, with the same settings, from the last saved epoch. What an interrupted
process left between two entries of the journal is completed first, so that the search goes on as if uninterrupted.

Needs the extra `tune`.
"""

from __future__ import annotations

import itertools
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import BaseFileLock, FileLock, Timeout

from segue.errors import ArtefactError, ConfigError
from segue.io import write_text
from segue.json_files import checked, plain_json, read_text
from segue.models.base.search_space import Space, domain_values, nearest_value, num_points, space_to_dict
from segue.temporary import delete_all_abandoned
from segue.tuning.journal import open_journal
from segue.tuning.optuna_space import import_optuna, to_distributions, to_params, to_settings
from segue.tuning.pruning import is_pruned
from segue.tuning.trial import LATER, RESULT, Trial

_FORMAT = 2  # of the folder; raised when older folders can no longer be read
_MAX_DRAWS = 9  # proposals of settings that were tried before, until an untried point is looked up
MAX_ENUMERATED = 10_000  # spaces with more points are not enumerated


@dataclass(frozen=True)
class ActiveTrial:
    """A trial that this process has locked.

    Attributes:
        trial: the result so far.
        folder: the folder for the state of its training.
        lock: the held lock of the folder.
        optuna_trial: Optuna's object; None for a trial that Optuna counts as finished and that is being continued.
        min_epochs: the first epoch at which trials are compared.
    """

    trial: Trial
    folder: Path
    lock: BaseFileLock
    optuna_trial: Any
    min_epochs: int

    def release(self) -> None:
        """Unlock the trial as it is, so that another process can resume it."""
        self.lock.release()

    def report(self, epoch: int, metric: float) -> bool:
        """Report the best metric up to an epoch. Returns whether the trial should be pruned."""
        if self.optuna_trial is None:
            return False
        number, study = self.trial.number, self.optuna_trial.study
        if epoch not in study.get_trials(deepcopy=False)[number].intermediate_values:
            self.optuna_trial.report(metric, epoch)
        curves = {trial.number: trial.intermediate_values for trial in study.get_trials(deepcopy=False)}
        return is_pruned(curves, number, epoch, min_epochs=self.min_epochs)


class Study:
    """The trials of one search.

    Args:
        folder: the folder of the study; created if it does not exist.
        space: the search space.
        identity: plain values that identify the search; a folder with other values is refused.
        defaults: the settings of the first trial, or the values of the space closest to them.
        seed: of the proposed settings.
        min_epochs: the first epoch at which trials are compared and may be pruned.

    Raises:
        ConfigError: optuna is not installed, or the folder holds another search.
    """

    def __init__(
        self,
        folder: Path,
        space: Space,
        *,
        identity: Mapping[str, Any],
        defaults: Mapping[str, Any] | None = None,
        seed: int = 0,
        min_epochs: int = 1,
    ) -> None:
        self._optuna = import_optuna()
        self.folder = folder.absolute()  # the process may change its current folder
        self.space, self.seed, self.min_epochs = space, seed, min_epochs
        nearest = {name: nearest_value(space[name], value) for name, value in (defaults or {}).items() if name in space}
        self.first_settings = {name: value for name, value in nearest.items() if value is not None}
        if folder.exists() and not folder.is_dir():
            raise ArtefactError(f"{folder}: is a file, but the search keeps its trials in a folder there; move it away")
        folder.mkdir(parents=True, exist_ok=True)
        delete_all_abandoned(self.folder)
        with self.locked():
            self._check_identity({"format": _FORMAT, **identity, "space": space_to_dict(space)}, folder)
            self._study = open_journal(self.folder / "journal.log", repair=f"delete {folder} to start afresh")

    def _check_identity(self, identity: dict[str, Any], folder: Path) -> None:
        """Write `search.json`, or compare it with `identity` if it exists; messages name the folder as it was given.

        Raises:
            ConfigError: the folder holds another search.
            ArtefactError: the file is damaged.
        """
        path, text = folder / "search.json", json.dumps(identity, indent=1) + "\n"
        if not path.exists():
            write_text(path, text)
            return
        repair = f"delete {folder} to start afresh"
        stored, expected = plain_json(read_text(path, repair=repair), where=str(path), repair=repair), json.loads(text)
        if not isinstance(stored, dict):
            raise ArtefactError(f"{path}: damaged, does not describe a search; {repair}")
        different = [key for key in expected if stored.get(key) != expected[key]]
        if different:
            raise ConfigError(
                f"{folder}: holds a search with another {' and '.join(different)}, or of an older version of "
                "segue; delete it to start afresh, or choose another folder"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the study: no other process reads or chooses trials meanwhile."""
        with FileLock(self.folder / "lock"):
            yield

    def trials(self) -> list[Trial]:
        """All trials so far, in the order in which they were started.

        Raises:
            ArtefactError: the journal is damaged.
        """
        results = self._study.user_attrs
        listed = []
        for frozen in self._study.get_trials(deepcopy=False):
            result = results.get(f"trial {frozen.number}", {})
            if "duplicate_of" not in result and set(frozen.params) == set(self.space):
                listed.append(self._trial(frozen.number, frozen.params, result))
        return listed

    def _trial(self, number: int, params: Mapping[str, Any], result: Mapping[str, Any]) -> Trial:
        try:
            if result and result.keys() | LATER != RESULT:
                raise ValueError("not the result of a trial")
            fields = dict(result) or {"state": "running"}
            trial: Trial = checked({"number": number, "settings": {}, **fields}, Trial)
            return replace(trial, settings=to_settings(params, self.space))
        except (ValueError, StopIteration) as error:
            raise ArtefactError(
                f"{self.folder / 'journal.log'}: damaged (trial {number} is not one of this search); "
                f"delete {self.folder} to start afresh"
            ) from error

    def next_trial(self, max_trials: int) -> ActiveTrial | None:
        """Lock the next trial to run: one that was interrupted, or a new one.

        Args:
            max_trials: number of trials of the whole study.

        Returns:
            None if there is nothing left to start.
        """
        with self.locked():
            self._finish_in_optuna()
            self._delete_folders_of_finished_trials()
            running = [trial for trial in self.trials() if trial.state == "running"]
            resumed = self._resume_interrupted([trial for trial in running if self._folder(trial).exists()])
            if resumed is not None:
                return resumed
            drawn = self._draw_untried([trial for trial in running if not self._folder(trial).exists()], max_trials)
            return None if drawn is None else self._lock_trial(drawn)

    def _resume_interrupted(self, with_folder: list[Trial]) -> ActiveTrial | None:
        """Lock the first of the running trials that no process is running any more; None if there is none."""
        return next((active for trial in with_folder if (active := self._lock_trial(trial))), None)

    def _draw_untried(self, without_folder: list[Trial], max_trials: int) -> Trial | None:
        """A trial whose settings were not tried before, if Optuna or the list of points has one; None if none is left.

        Args:
            without_folder: trials that were drawn by a process which was killed before it could lock them.
            max_trials: number of trials of the whole study.
        """
        for _ in range(_MAX_DRAWS):
            proposed = without_folder.pop() if without_folder else self._propose(max_trials)
            if proposed is None or not self._discard_duplicate(proposed):
                return proposed
        # Optuna repeats itself: an untried point is looked up; a space without a list of its points may repeat one
        return self._propose(max_trials, enumerate_space=True)

    def _finish_in_optuna(self) -> None:
        """End in Optuna's view the trials whose process was killed before their parameters or their end were stored."""
        results = self._study.user_attrs
        for frozen in self._study.get_trials(deepcopy=False, states=(self._optuna.trial.TrialState.RUNNING,)):
            result = results.get(f"trial {frozen.number}", {})
            if "duplicate_of" in result or set(frozen.params) != set(self.space):
                self._study.tell(frozen.number, state=self._optuna.trial.TrialState.FAIL)
            elif result:
                self._tell(frozen.number, result)

    def _delete_folders_of_finished_trials(self) -> None:
        """Delete what a process left that was killed after it had stored the result of a trial."""
        for trial in self.trials():
            if trial.state not in ("running", "timed_out"):
                shutil.rmtree(self._folder(trial), ignore_errors=True)

    def _tell(self, number: int, result: Mapping[str, Any]) -> None:
        states = self._optuna.trial.TrialState
        ended = {"failed": states.FAIL, "pruned": states.PRUNED}.get(result["state"], states.COMPLETE)
        if result["metric"] is None:
            ended = states.FAIL
        self._study.tell(number, result["metric"] if ended == states.COMPLETE else None, state=ended)

    def resume_timed_out(self, longest: float = math.inf) -> ActiveTrial | None:
        """Lock the best trial that ran out of time and that no process is running; None if there is none.

        Args:
            longest: only trials that took fewer seconds are continued.
        """
        with self.locked():
            timed_out = [trial for trial in self.trials() if trial.state == "timed_out" and trial.seconds < longest]
            best_first = sorted(timed_out, key=lambda trial: -trial.rank)
            return next((active for trial in best_first if (active := self._lock_trial(trial))), None)

    def finish(self, active: ActiveTrial, **result: Any) -> Trial:
        """Store the result of a trial and unlock it.

        Args:
            active: from `next_trial` or `resume_timed_out`.
            result: fields of `Trial`: state, metric, best_epoch, epochs, seconds, cpu_seconds, error.
        """
        number = active.trial.number
        with self.locked():
            self._study.set_user_attr(f"trial {number}", result)
            if active.optuna_trial is not None:
                self._tell(number, result)
            active.release()
            if result["state"] != "timed_out":
                shutil.rmtree(active.folder, ignore_errors=True)
        return Trial(number, active.trial.settings, **result)

    def _folder(self, trial: Trial) -> Path:
        """The folder of a trial. It exists from the moment the trial is accepted until it is finished."""
        return self.folder / f"trial-{trial.number:04d}"

    def _lock_trial(self, trial: Trial) -> ActiveTrial | None:
        """Lock a trial; None if another process holds its lock."""
        folder = self._folder(trial)
        folder.mkdir(exist_ok=True)
        lock = _try_lock_file(folder / "lock")
        if lock is None:
            return None
        frozen = self._study.get_trials(deepcopy=False)[trial.number]
        optuna_trial = None
        if not frozen.state.is_finished():
            optuna_trial = self._optuna.trial.Trial(self._study, frozen._trial_id)
        return ActiveTrial(trial, folder, lock, optuna_trial, self.min_epochs)

    def _propose(self, max_trials: int, *, enumerate_space: bool = False) -> Trial | None:
        """A new trial: first the defaults, then Optuna's proposals; the points of a small space one after the other.

        Returns:
            None if there are enough trials, or no other point of the space is left.
        """
        known = self.trials()
        # a trial whose process was killed while its parameters were written does not count
        number = sum(set(trial.params) == set(self.space) for trial in self._study.get_trials(deepcopy=False))
        points = num_points(self.space) or math.inf
        if len(known) >= min(max_trials, points):
            return None
        enumerated = points <= (MAX_ENUMERATED if enumerate_space else min(max_trials, MAX_ENUMERATED))
        fixed = self.first_settings if number == 0 else self._untried_point(known) if enumerated else {}
        waiting = self._study.get_trials(deepcopy=False, states=(self._optuna.trial.TrialState.WAITING,))
        if fixed and not waiting:  # one that waits is this one: its process was killed before it asked for it
            self._study.enqueue_trial(to_params(fixed, self.space))
        seed = int(np.random.SeedSequence((self.seed, number)).generate_state(1)[0])
        num_random = min(10, max(4, max_trials // 3))
        self._study.sampler = self._optuna.samplers.TPESampler(n_startup_trials=num_random, seed=seed)
        proposed = self._study.ask(fixed_distributions=to_distributions(self.space))
        return Trial(proposed.number, to_settings(proposed.params, self.space), "running")

    def _discard_duplicate(self, trial: Trial) -> bool:
        """Discard a trial whose settings were tried before. Returns whether it was discarded."""
        earlier = [one.number for one in self.trials() if one.settings == trial.settings and one.number < trial.number]
        if earlier:
            self._study.set_user_attr(f"trial {trial.number}", {"duplicate_of": earlier[0]})
            self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)
        return bool(earlier)

    def _untried_point(self, known: list[Trial]) -> dict[str, Any]:
        """A point of a small space that has not been tried; the seed decides which."""
        tried = [trial.settings for trial in known]
        values = [domain_values(domain) or () for domain in self.space.values()]
        all_points = [dict(zip(self.space, point, strict=True)) for point in itertools.product(*values)]
        order = np.random.default_rng(self.seed).permutation(len(all_points))
        return next(all_points[index] for index in order if all_points[index] not in tried)


def _try_lock_file(path: Path) -> BaseFileLock | None:
    """The acquired lock of the file `path`; None if another process, or another caller of this one, holds it.

    It is a file, not the folder of a trial, because a training locks that folder itself, and it works on Windows too.
    """
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock
