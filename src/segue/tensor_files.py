"""`save_tensors`: tensors in a safetensors file that others may read as they may read every new file."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write tensors to a safetensors file, with the permissions that the umask gives to a new file.

    safetensors itself makes a file that only its owner may read, so that a service of another account could not load
    the model.

    Args:
        tensors: name -> contiguous tensor on the CPU.
        path: the file, which is not there yet.
        metadata: texts to keep with them.

    Raises:
        OSError, SafetensorError: the file cannot be written.
    """
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    save_file(dict(tensors), path, metadata=metadata)
    path.chmod(mode)
