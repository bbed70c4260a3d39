"""`Readers`: the connections with which the threads of a process read an SQLite file, one for each thread.

To open a connection takes longer than a read, so each thread keeps its own. SQLite crashes the process if a connection
is closed while another thread reads with it. So `close` waits for the reads that are under way.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from segue.errors import DataError


@dataclass
class _Reader:
    """The connection of one thread, and the lock that the thread holds while it reads."""

    connection: Connection
    lock: threading.RLock = field(default_factory=threading.RLock)  # a thread may read while it reads


class Readers:
    """Connections that read, by thread."""

    def __init__(self, engine: Engine, name: str) -> None:
        """Prepare.

        Args:
            engine: opens the connections; it must not pool them.
            name: of the store, for messages.
        """
        self.engine, self.name = engine, name
        self._readers: dict[int, _Reader] = {}
        self._is_closed = False
        self._lock = threading.Lock()  # of the two above

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """The connection of this thread.

        Raises:
            DataError: `close` was called.
        """
        reader = self._readers.get(threading.get_ident()) or self._new()
        with reader.lock:
            if self._is_closed:
                raise DataError(f"{self.name}: closed")
            yield reader.connection

    def close(self) -> None:
        """Wait for the reads that are under way, close the connections, and refuse further reads."""
        with self._lock:
            self._is_closed = True
            readers = list(self._readers.values())
        for reader in readers:
            with reader.lock:
                reader.connection.close()

    def _new(self) -> _Reader:
        with self._lock:
            if self._is_closed:
                raise DataError(f"{self.name}: closed")
            return self._readers.setdefault(threading.get_ident(), _Reader(self.engine.connect()))
