"""One laboratory for all tests of faults: the process that its commands are copies of takes seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .injector import Injector
from .laboratory import Laboratory


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with Injector(tmp_path_factory.mktemp("injector")) as injector:
        yield Laboratory(tmp_path_factory.mktemp("laboratory"), injector)
