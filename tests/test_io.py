"""Atomic writing, hashes and JSON: a target holds the old content or the new content, and no temporary file is left."""

import hashlib
import json
import math
import os
import stat
import threading

import numpy as np
import pytest

from segue import io
from segue.folders import atomic_folder
from segue.io import atomic_file
from segue.temporary import locked_folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fail(*args):
    raise OSError(28, "No space left on device")


def test_text_and_bytes_are_written(tmp_path):
    io.write_text(tmp_path / "a.txt", "é\n")
    io.write_bytes(tmp_path / "b.bin", b"\0\1")
    assert (tmp_path / "a.txt").read_bytes() == "é\n".encode()
    assert (tmp_path / "b.bin").read_bytes() == b"\0\1"
    assert names(tmp_path) == ["a.txt", "b.bin"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_while_writing_keeps_the_old_file(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with io.atomic_file(path) as temporary:
            assert temporary.parent.parent == tmp_path, "a rename cannot cross file systems"
            temporary.write_text("half of the n")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_an_error_while_renaming_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        io.write_text(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_what_killed_processes_left_is_deleted_by_the_next_writer(tmp_path):
    for name in (".a.txt.0123abcd", ".a.txt.notes", ".b.txt.0123abcd", ".a.txt.89abcdef"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("half of the n")
    with locked_folder(tmp_path / ".a.txt.89abcdef"):
        io.write_text(tmp_path / "a.txt", "new")
    assert names(tmp_path) == [".a.txt.89abcdef", ".a.txt.notes", ".b.txt.0123abcd", "a.txt"]


def test_a_missing_folder_is_an_error_and_no_endless_loop(tmp_path):
    with pytest.raises(FileNotFoundError):
        io.write_text(tmp_path / "missing" / "a.txt", "text")


def test_a_reader_never_sees_a_part_of_a_file(tmp_path):
    path, contents = tmp_path / "a.txt", {letter * 100_000 for letter in "ab"}
    io.write_text(path, "a" * 100_000)
    done = threading.Event()

    def write():
        for turn in range(200):
            io.write_text(path, "ab"[turn % 2] * 100_000)
        done.set()

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    seen = set()
    while not done.is_set():
        seen.add(path.read_text())
    for writer in writers:
        writer.join()
    assert seen <= contents
    assert names(tmp_path) == ["a.txt"]


def test_json_has_null_for_numbers_that_are_not_finite(tmp_path):
    path = tmp_path / "a.json"
    io.write_json(path, {"a": (1.5, math.nan), 2: {"b": [math.inf, -math.inf, True, None, "é"]}})
    assert json.loads(path.read_text()) == {"a": [1.5, None], "2": {"b": [None, None, True, None, "é"]}}


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    io.write_json(path, [1])
    with pytest.raises(TypeError):
        io.write_json(path, [1, object()])
    assert json.loads(path.read_text()) == [1]
    assert names(tmp_path) == ["a.json"]


def test_json_follows_a_symbolic_link(tmp_path):
    (tmp_path / "target").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "target" / "a.json")
    io.write_json(link, [1])
    assert link.is_symlink()
    assert json.loads((tmp_path / "target" / "a.json").read_text()) == [1]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_device_is_written_and_never_replaced(tmp_path):
    (tmp_path / "link").symlink_to("/dev/full")
    for write in (io.write_text, lambda path, text: io.write_bytes(path, text.encode()), io.write_json):
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path / "link", "x")
    assert stat.S_ISCHR((tmp_path / "link").stat().st_mode)
    assert names(tmp_path) == ["link"]


def test_json_goes_into_a_pipe(tmp_path):
    pipe, received = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()))
    reader.start()
    io.write_json(pipe, [1])
    reader.join()
    assert json.loads(received[0]) == [1]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("size", [1, 1000, 10**6])
def test_a_reader_that_leaves_a_pipe_early_is_an_error(tmp_path, size):
    """Also if all that it left would fit into the pipe."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: os.close(os.open(pipe, os.O_RDONLY)))
    reader.start()
    with pytest.raises(BrokenPipeError):
        io.write_json(pipe, "x" * size)
    reader.join()


def test_hashes_are_those_of_hashlib(tmp_path):
    array = np.arange(12, dtype=np.int32).reshape(3, 4)
    expected = hashlib.blake2b(b"name" + array.T.tobytes() + b"-", digest_size=8).hexdigest()
    assert io.short_hash([b"name", array.T, np.empty(0), b"-"]) == expected
    assert io.json_hash({"b": [1], "a": 2.5}) == io.json_hash({"a": 2.5, "b": [1]})
    assert io.json_hash({"a": 1}) == hashlib.blake2b(b'{"a":1}', digest_size=8).hexdigest()
    (tmp_path / "file").write_bytes(b"abc")
    assert io.file_hash(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()


def test_the_reason_of_an_error_is_one_line():
    assert io.reason(OSError(28, "No space left on device", "/some/path")) == "No space left on device"
    assert io.reason(ValueError("first\nsecond")) == "first"
    hidden = 'Error while serializing: I/O error: No space left on device (os error 28) at path "/a/.tmp1a2B3c"'
    assert io.reason(ValueError(hidden)) == "No space left on device"
    assert io.reason(OSError("228 requested and 0 written")) == "not all of it could be written; is the disk full?"


def test_a_file_is_on_the_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    steps, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: steps.append(os.fstat(file).st_ino) or fsync(file))
    monkeypatch.setattr(os, "replace", lambda *paths: steps.append("rename") or replace(*paths))
    io.write_text(tmp_path / "file", "text")
    assert steps == [(tmp_path / "file").stat().st_ino, "rename", tmp_path.stat().st_ino]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_files_have_the_permissions_of_the_umask(tmp_path, umask, mode):
    def write(path):
        path.touch()
        path.chmod(0o600 if mode != 0o600 else 0o644)

    before = os.umask(umask)
    try:
        with atomic_file(tmp_path / "file") as temporary:
            write(temporary)
        with atomic_folder(tmp_path / "folder") as folder:
            (folder / "part").mkdir()
            write(folder / "file")
            write(folder / "part" / "file")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("file")} == {mode}


def test_errors_name_the_target(tmp_path):
    """The hidden folder in which a file is written means nothing to its user."""
    too_long = tmp_path / ("x" * 250)
    with pytest.raises(OSError, match="too long") as made, atomic_file(too_long):
        pass
    target = tmp_path / "table.csv"
    with pytest.raises(IsADirectoryError) as written, atomic_file(target) as temporary:
        temporary.write_text(str(temporary.mkdir()))
    folder = tmp_path / "model"
    with pytest.raises(FileNotFoundError) as inside, atomic_folder(folder) as place:
        (place / "nowhere" / "weights").write_text("never")
    found = [error.value.filename for error in (made, written, inside)]
    assert found == [str(too_long), str(target), str(folder / "nowhere" / "weights")]
