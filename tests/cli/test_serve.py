"""`segue serve`: the commands for API keys, and what is refused before the service listens."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from segue.event_store.store import open_store

from .bad_input import Bad, check, written

STORE = "--store sqlite:///events.db"
BAD = {
    "no models": Bad("serve", r"give the folder of a saved model; `segue run MODEL DATA -o"),
    "models that are not there": Bad("serve nothing", r"nothing: no saved model"),
    "models and a key": Bad("serve models/pop --new-key read", r"give one of --new-key, --keys and --revoke, and no"),
    "two actions": Bad("serve --keys --new-key read", r"give one of --new-key, --keys and --revoke"),
    "unknown role": Bad("serve --new-key root", r"root"),
    "label alone": Bad("serve models/pop --label shop", r"--label: goes with --new-key"),
    "negative rate": Bad("serve models/pop --rate-limit -1", r"--rate-limit -1\.0: must be at least 0"),
    "rate is no number": Bad("serve models/pop --rate-limit nan", r"--rate-limit nan: must be at least 0 and finite"),
    "no time at all": Bad("serve models/pop --keep-outcomes 0", r"--keep-outcomes 0: must be above 0"),
    "for no number of days": Bad("serve models/pop --keep-outcomes nan", r"--keep-outcomes nan: must be above 0"),
    "no connections": Bad("serve models/pop --max-connections 0", r"--max-connections 0: must be at least 1"),
    "search of no kind": Bad("serve models/pop --search ivf", r"exact.*approximate"),
    "missing extra": Bad(
        "serve models/pop --search approximate",
        r'approximate search needs the extra ann: pip install "segue\[ann\]"',
        prepare=lambda patch: patch.setitem(sys.modules, "faiss", None),
    ),
    "keys of no store": Bad("serve --keys --store sqlite:///nothing.db", r"nothing\.db: there is no such file"),
    "store of no kind": Bad("serve --new-key read --store events.db", r"events\.db: not the address of a store"),
    "store that is something else": Bad(
        "serve --keys --store sqlite:///odd.db", r"odd\.db: file is not a database", prepare=written("odd.db")
    ),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_service_that_cannot_start(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)


@pytest.mark.parametrize("options", ["--host 0.0.0.0", "--require-keys"])
def test_a_service_for_other_machines_needs_a_key(here, segue, options):
    code, out, err = segue(f"serve models/pop --port 0 {STORE} {options}")
    assert (code, out) == (2, "")
    assert "needs API keys, and the store has none; make one with `segue serve --new-key read`" in " ".join(err.split())


def test_keys_are_made_listed_and_revoked(here, segue):
    code, key, _ = segue(f"serve --new-key write --label shop {STORE}")
    assert code == 0
    assert key.startswith("segue-write-")
    assert segue(f"serve --new-key read {STORE}")[0] == 0
    code, listed, _ = segue(f"serve --keys {STORE}")
    assert code == 0
    assert "shop" in listed
    assert key.strip() not in listed
    assert key.strip().encode() not in Path("events.db").read_bytes()
    digits = next(line.split()[0] for line in listed.splitlines() if "shop" in line)
    assert segue(f"serve --revoke {digits} {STORE}")[0] == 0
    code, out, err = segue(f"serve --revoke {digits} {STORE}")
    assert (code, out) == (2, "")
    assert "has no key whose hash begins so; --keys lists them" in " ".join(err.split())
    store = open_store("sqlite:///events.db")
    assert [one.role for one in store.keys.all()] == ["read"]
    store.close()


def test_at_least_eight_digits_are_needed_to_revoke_a_key(here, segue):
    segue(f"serve --new-key read {STORE}")
    code, _, err = segue(f"serve --revoke % {STORE}")
    assert code == 2
    assert "give at least 8 digits of the hash" in " ".join(err.split())
