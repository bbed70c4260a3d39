"""`Expansion`: how much larger than its file the content of a packed file may be: a file of repetitions has no end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Expansion:
    """The most bytes that files may become when they are unpacked, decoded or built.

    Attributes:
        ratio: bytes for each byte of the files.
        spare: bytes besides, since small files are packed best.
    """

    ratio: int
    spare: int

    def limit(self, path: Path) -> int:
        """The most bytes for a file, or for all files of a folder together.

        Raises:
            OSError: the file is missing.
        """
        files = [file for file in path.iterdir() if file.is_file()] if path.is_dir() else [path]
        return self.spare + self.ratio * sum(file.stat().st_size for file in files)
