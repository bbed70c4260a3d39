"""Results are read from files as they were written."""

from __future__ import annotations

import io
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from segue.data import synthetic
from segue.errors import ArtefactError
from segue.evaluation import result_files
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment

LOG = synthetic.markov(60, 15, 12, seed=1, shortest=4)
LEAVE_ONE_OUT = Protocol.named("leave-one-out")


@pytest.mark.parametrize("counts", [True, False])
def test_a_result_file_round_trip(tmp_path: Path, counts: bool) -> None:
    result = Experiment(model="pop", protocol=LEAVE_ONE_OUT, baseline=True).run(LOG).result
    result = replace(result, warnings=("It leaks", "It ties"), **({} if counts else {"counts": None}))
    found, about = result_files.read(result_files.write(result, tmp_path / "a/b.npz", note={"x": [1.5, None]}))
    assert about == {"note": {"x": [1.5, None]}}
    for name in ("user", "rank", "offsets", "top", "depth", "dropped"):
        one, two = getattr(found.predictions, name), getattr(result.predictions, name)
        assert np.array_equal(one, two) if isinstance(one, np.ndarray) else one == two
    for name in {field.name for field in fields(result)} - {"predictions", "counts"}:
        assert getattr(found, name) == getattr(result, name)
    assert (found.counts is None) is (result.counts is None)
    (tmp_path / "a/b.npz").write_bytes(b"PK nonsense")
    with pytest.raises(ArtefactError, match=r"b\.npz: damaged \(.*delete it"):
        result_files.read(tmp_path / "a/b.npz")
    with pytest.raises(ArtefactError, match="there is no such result"):
        result_files.read(tmp_path / "c.npz")


@pytest.mark.parametrize("text", ["1000 requested and 4 written", "Error while serializing (os error 28)"])
def test_a_full_disk_is_said_in_plain_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    def full(*_: object) -> None:
        raise OSError(text)

    result = Experiment(model="pop", protocol=LEAVE_ONE_OUT, baseline=True).run(LOG).result
    monkeypatch.setattr(result_files, "write_bytes", full)
    words = (
        r"b\.npz: cannot be written \((not all of it could be written; is the disk full\?|No space left on device)\)"
    )
    with pytest.raises(ArtefactError, match=words):
        result_files.write(result, tmp_path / "b.npz")


@pytest.mark.parametrize("error", [MemoryError("no memory"), AssertionError("a fault of segue")])
def test_an_error_that_is_none_of_the_file_is_not_said_to_be_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    path = result_files.write(
        Experiment(model="pop", protocol=LEAVE_ONE_OUT, baseline=True).run(LOG).result, tmp_path / "b.npz"
    )
    for owner, name in ((Protocol, "from_dict"), (np, "load")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, fail)
            with pytest.raises(type(error), match=str(error)):
                result_files.read(path)
    assert result_files.read(path)


@pytest.mark.parametrize("size", [0, 10**15])
def test_an_array_that_is_longer_than_its_file_is_damage(tmp_path: Path, size: int) -> None:
    """No memory is taken for what is not there, whether or not the archive claims the same."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<i8", "fortran_order": False, "shape": (10**14,)})
    info = zipfile.ZipInfo("rank.npy")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr(info, content.getvalue())
        info.file_size = info.file_size + 8 * 10**14 if size else info.file_size
    with pytest.raises(ArtefactError, match=r"b\.npz: damaged \(.*delete it"):
        result_files.read_arrays(tmp_path / "b.npz")
