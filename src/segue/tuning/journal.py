"""`open_journal`: Optuna's journal of trials, with a lock that the operating system releases when its process ends.

Optuna's own lock is a symbolic link. It stays behind when its process is killed, and the next process waits for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from filelock import FileLock

from segue.errors import ArtefactError
from segue.io import reason
from segue.tuning.optuna_space import import_optuna


class JournalLock:
    """The lock of a journal, as Optuna calls it."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path)

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._lock.acquire()
        return True

    def release(self) -> None:
        """Free the lock."""
        self._lock.release()


def open_journal(path: Path, *, repair: str) -> Any:
    """The Optuna study whose entries are lines of the file `path`, which is made if it does not exist.

    An entry that was cut short by a full disk or a crash is removed: another entry after it would be unreadable.

    Args:
        path: the file.
        repair: what the user can do about a damaged file, the end of the error message.

    Raises:
        ArtefactError: the file is damaged.
    """
    optuna = import_optuna()
    lock = JournalLock(path.with_suffix(".lock"))
    lock.acquire()
    try:
        _remove_incomplete_line(path)
    finally:
        lock.release()
    backend = optuna.storages.journal.JournalFileBackend(str(path), lock_obj=lock)
    try:
        study = optuna.create_study(
            storage=optuna.storages.JournalStorage(backend),
            study_name="search",
            direction="maximize",
            pruner=optuna.pruners.NopPruner(),  # see `ActiveTrial.report`
            load_if_exists=True,
        )
        study.get_trials(deepcopy=False)
    except OSError:
        raise
    except Exception as error:  # a damaged line can raise anything in Optuna
        raise ArtefactError(f"{path}: damaged ({type(error).__name__}: {reason(error)}); {repair}") from error
    return study


def _remove_incomplete_line(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    complete = content.rfind(b"\n") + 1
    if complete < len(content):
        with path.open("r+b") as file:
            file.truncate(complete)
