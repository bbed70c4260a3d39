"""Archives that are not what a data set is packed in: one message, and nothing is written anywhere."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from segue.data.datasets import download
from segue.data.datasets.download import Unavailable, unpack
from segue.expansion import Expansion

TEXT = b"196\t242\t3\t881250949\n" * 50
CENTRAL, LOCAL = b"PK\x01\x02", b"PK\x03\x04"


def packed(*names: str, content: bytes = TEXT, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name in names:
            archive.writestr(name, content)
    return buffer.getvalue()


def patched(offset: int, value: bytes) -> Callable[[bytes], bytes]:
    """Other bytes at a place of the header of the member, both of them: the local one is 2 bytes shorter there."""

    def patch(content: bytes) -> bytes:
        changed = bytearray(content)
        for magic, at in ((CENTRAL, offset), (LOCAL, offset - 2)):
            begin = content.index(magic) + at
            changed[begin : begin + len(value)] = value
        return bytes(changed)

    return patch


METHOD, FLAGS, UNPACKED = 10, 8, 24
WHOLE = packed("ml/u.data")
ODD = {
    "encrypted": (patched(FLAGS, b"\x01\x00")(WHOLE), r"cannot be unpacked \(.*encrypted, password required"),
    "an unknown method": (patched(METHOD, b"\x63\x00")(WHOLE), r"cannot be unpacked \(.*compression"),
    "another method": (patched(METHOD, b"\x0e\x00")(WHOLE), r"cannot be unpacked"),
    "cut short": (WHOLE[:-30], r"cannot be unpacked \(File is not a zip file"),
    "no archive": (b"<html>", r"cannot be unpacked \(File is not a zip file"),
    "nothing": (b"", r"cannot be unpacked \(File is not a zip file"),
    "a size that is too small": (patched(UNPACKED, struct.pack("<I", 10))(WHOLE), r"cannot be unpacked \(Bad CRC-32"),
    "damaged bytes": (WHOLE.replace(WHOLE[60:64], b"\xff\xff\xff\xff"), r"cannot be unpacked"),
    "there twice": (packed("ml/u.data", "ml/u.data"), r"ml/u\.data is in it twice"),
    "other members": (packed("ml/u.item"), r"there is no ml/u\.data in it"),
    "a folder of that name": (packed("ml/u.data/"), r"there is no ml/u\.data in it"),
    "another slash": (packed("ml\\u.data"), r"there is no ml/u\.data in it"),
    "an archive of repetitions": (
        packed("ml/u.data", content=bytes(1 << 20)),
        r"ml/u\.data is more than 100 times as large as the archive",
    ),
}


@pytest.mark.parametrize(("content", "message"), ODD.values(), ids=ODD)
def test_an_archive_that_cannot_be_unpacked(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(download, "UNPACKED", Expansion(100, 1 << 16))
    archive = tmp_path / "archive.zip"
    archive.write_bytes(content)
    with pytest.raises(Unavailable, match=message):
        unpack(archive, {"ml/u.data": None}, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["archive.zip"]


def test_members_that_are_not_wanted_are_never_written(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    archive = inside / "archive.zip"
    archive.write_bytes(packed("ml/u.data", "../outside", "/tmp/outside", "ml/../../outside", "new/link"))
    unpack(archive, {"ml/u.data": None}, inside / "new")
    written = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert written.keys() == {Path("inside/archive.zip"), Path("inside/new/u.data")}
    assert written[Path("inside/new/u.data")] == TEXT
