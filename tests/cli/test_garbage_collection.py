"""Garbage is not collected while a process starts, and afterwards it is, also after an error."""

from __future__ import annotations

import gc

import pytest

from segue.cli.garbage_collection import paused_garbage_collection


def test_what_is_made_at_the_start_is_not_searched_and_later_garbage_is_collected():
    try:
        with paused_garbage_collection():
            assert not gc.isenabled()
            made = [{} for _ in range(1_000)]
        assert gc.isenabled()
        assert gc.get_freeze_count() >= len(made)
    finally:
        gc.unfreeze()


def test_an_error_at_the_start_does_not_leave_it_off():
    try:
        with pytest.raises(ValueError, match="broken"), paused_garbage_collection():
            raise ValueError("broken")
        assert gc.isenabled()
    finally:
        gc.unfreeze()
