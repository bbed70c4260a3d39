"""Folders are replaced in one step, and recovered when a process was killed while it replaced one."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segue import folders
from segue.errors import ArtefactError
from segue.folders import atomic_folder, check_folder, recover_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail(*_: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(params=["exchange", "two renames"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to replace a folder: not every system can exchange two folders."""
    if request.param == "two renames":
        monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    elif sys.platform not in folders._EXCHANGES:
        pytest.skip("this system cannot exchange two folders")
    return str(request.param)


def test_a_folder_is_written_and_replaced(tmp_path):
    folder = tmp_path / "new" / "model"
    for text in ("one", "two"):
        with atomic_folder(folder) as temporary:
            (temporary / text).write_text(text)
        assert names(folder) == [text]
    assert names(tmp_path / "new") == ["model"]


@pytest.mark.parametrize("moves", [1, 2])
def test_a_failed_move_keeps_the_old_folder(tmp_path, monkeypatch, moves):
    monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    folder, real, calls = tmp_path / "model", os.replace, []
    folder.mkdir()
    (folder / "old").write_text("old")

    def replace(source, target):
        calls.append(target)
        if len(calls) == moves:
            fail()
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="No space left"), atomic_folder(folder) as temporary:
        (temporary / "new").write_text("new")
    assert names(folder) == ["old"]
    assert names(tmp_path) == ["model"]


@pytest.fixture
def two_folders(tmp_path: Path, way: str) -> tuple[Path, Path]:
    if way != "exchange":
        pytest.skip("these tests are about the exchange")
    pair = tmp_path / "one", tmp_path / "other"
    for folder in pair:
        folder.mkdir()
        (folder / folder.name).touch()
    return pair


def test_two_folders_exchange_their_names(two_folders: tuple[Path, Path]) -> None:
    one, other = two_folders
    assert folders._exchange(one, other)
    assert (names(one), names(other)) == (["other"], ["one"])


@pytest.mark.parametrize(("number", "can"), [(errno.EINVAL, False), (errno.ENOSYS, False), (errno.EACCES, True)])
@pytest.mark.parametrize(
    ("system", "function", "current"), [("linux", "renameat2", -100), ("darwin", "renameatx_np", -2)]
)
def test_an_exchange_that_fails(
    two_folders: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    function: str,
    current: int,
    number: int,
    can: bool,
) -> None:
    one, other = two_folders
    calls = []

    def refuse(*arguments: Any) -> int:
        calls.append(arguments)
        ctypes.set_errno(number)
        return -1

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace(**{function: refuse}))
    if can:
        with pytest.raises(PermissionError, match="Permission denied"):
            folders._exchange(one, other)
    else:
        assert not folders._exchange(one, other)
    assert calls == [(current, os.fsencode(one), current, os.fsencode(other), 2)]
    monkeypatch.undo()
    assert (names(one), names(other)) == (["one"], ["other"])


@pytest.mark.parametrize("system", ["win32", "linux", "darwin"])
def test_a_system_without_the_exchange(
    two_folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace())
    assert not folders._exchange(*two_folders)


def test_an_error_while_writing_leaves_no_folder(tmp_path):
    def write_half():
        with atomic_folder(tmp_path / "model") as temporary:
            (temporary / "new").write_text("new")
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        write_half()
    assert names(tmp_path) == []


def test_a_folder_that_is_not_to_be_replaced_stays(tmp_path, monkeypatch):
    folder = tmp_path / "files"
    with atomic_folder(folder, replace=False) as temporary:
        (temporary / "first").write_text("first")
    with atomic_folder(folder, replace=False) as temporary:
        (temporary / "second").write_text("second")
    assert names(folder) == ["first"]
    assert names(tmp_path) == ["files"]


def test_a_folder_of_a_faster_process_stays(tmp_path, monkeypatch):
    folder, real = tmp_path / "files", os.replace

    def slower(source, target):
        folder.mkdir()
        (folder / "first").write_text("first")
        real(source, target)

    monkeypatch.setattr(os, "replace", slower)
    with atomic_folder(folder, replace=False) as temporary:
        (temporary / "second").write_text("second")
    assert names(folder) == ["first"]
    assert names(tmp_path) == ["files"]


def test_a_folder_that_cannot_be_written_is_found_early(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    (tmp_path / "killed" / ".model.json.0123abcd").mkdir(parents=True)
    for fine in ("model", "empty", "missing", "missing/parents/model", "killed"):
        check_folder(tmp_path / fine, "saved model")
    for name, message in {
        "other": "other: is there and is not a saved model; choose another name",
        "other/notes.txt": "notes.txt: is there and is not a saved model",
        "other/notes.txt/model": "model: cannot be written: .*notes.txt is not a folder that you may write to",
        "..": "give the saved model a folder of its own, with a name",
    }.items():
        with pytest.raises(ArtefactError, match=message):
            check_folder(tmp_path / name, "saved model")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ArtefactError, match="cannot be written"):
        check_folder(tmp_path / "missing", "saved model")


def test_a_link_stays_and_its_folder_is_replaced(tmp_path):
    for text in ("one", "two"):
        with atomic_folder(tmp_path / "real") as temporary:
            (temporary / text).write_text(text)
    (tmp_path / "link").symlink_to("real")
    with atomic_folder(tmp_path / "link") as temporary:
        (temporary / "three").write_text("three")
    assert names(tmp_path / "real") == ["three"]
    assert (tmp_path / "link").is_symlink()


KILLED = """
import os, sys
from pathlib import Path
from segue import folders

if sys.argv[2] == "two renames":
    folders._exchange = lambda one, other: False
steps, at = 0, int(sys.argv[3])

def counted(function):
    def call(*arguments, **options):
        global steps
        steps += 1
        if steps == at:
            os._exit(9)
        return function(*arguments, **options)
    return call

os.replace, os.fsync, folders._exchange = counted(os.replace), counted(os.fsync), counted(folders._exchange)
os.unlink, os.rmdir, Path.write_text = counted(os.unlink), counted(os.rmdir), counted(Path.write_text)
with folders.atomic_folder(Path(sys.argv[1])) as temporary:
    (temporary / "a").write_text("new")
    (temporary / "b").write_text("new")
print(steps)
"""


def write(folder: Path, content: str) -> None:
    with atomic_folder(folder) as temporary:
        (temporary / "a").write_text(content)
        (temporary / "b").write_text(content)


def test_a_process_killed_at_any_step_leaves_the_old_folder_or_the_new_one(tmp_path: Path, way: str) -> None:
    def replace(folder: Path, at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", KILLED, str(folder), way, str(at)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    write(tmp_path / "model", "old")
    steps = int(replace(tmp_path / "model", 0).stdout)
    assert steps > 5
    for at in range(1, steps + 1):
        folder = tmp_path / str(at) / "model"
        write(folder, "old")
        assert replace(folder, at).returncode == 9
        if way == "exchange":
            assert folder.is_dir()  # a reader never finds it missing
        recover_folder(folder)
        assert names(folder.parent) == ["model"], at
        assert {path.read_text() for path in folder.iterdir()} in ({"old"}, {"new"}), at
        assert names(folder) == ["a", "b"]
        write(folder, "newer")
        assert (folder / "b").read_text() == "newer"


def test_the_temporary_folder_of_a_running_process_stays(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "model") as first:
        (first / "a").write_text("first")
        write(tmp_path / "model", "second")
        assert first.is_dir()
    assert (tmp_path / "model" / "a").read_text() == "first"


def test_only_leftovers_of_the_same_folder_are_deleted(tmp_path: Path) -> None:
    for name in (".model.0123abcd", ".model.0123abcd.old", ".model2.0123abcd", ".model.notes", ".model.0123abcde"):
        (tmp_path / name).mkdir()
    (tmp_path / ".model.89abcdef").write_text("a file")
    write(tmp_path / "model", "new")
    assert names(tmp_path) == [".model.0123abcde", ".model.89abcdef", ".model.notes", ".model2.0123abcd", "model"]


def test_a_folder_is_on_the_disk_before_it_takes_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, fsync, move, flushed = tmp_path / "model", os.fsync, folders._move_folder, []
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append(os.fstat(file).st_ino) or fsync(file))

    def checked_move(new: Path, *rest: Any, **options: Any) -> None:
        assert {new.stat().st_ino, *(path.stat().st_ino for path in new.rglob("*"))} <= {*flushed}
        flushed.clear()
        move(new, *rest, **options)

    monkeypatch.setattr(folders, "_move_folder", checked_move)
    for _ in range(2):
        with atomic_folder(folder) as temporary:
            (temporary / "inner").mkdir()
            for name in ("weights", "inner/part"):
                (temporary / name).write_text(name)
        assert flushed[-1] == tmp_path.stat().st_ino
        flushed.clear()
