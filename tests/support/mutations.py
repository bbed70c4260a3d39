"""Damage to the bytes of a file: what disks, transfers and attackers do to it, as hypothesis strategies."""

from __future__ import annotations

from hypothesis import strategies as st

LONGEST = 64  # bytes that one change touches
RARE = [b"\x00", b"\xff", b"\x80", b"\x7f", b'"', b"'", b"\n", b"\r", b"\t", b",", b"-", b"e999", b"9" * 30, b"[", b"{"]


@st.composite
def mutated(draw: st.DrawFn, content: bytes, most: int = 4) -> bytes:
    """The content after 1 to `most` changes: bytes overwritten, inserted, deleted, moved, repeated or cut off."""
    for _ in range(draw(st.integers(1, most))):
        begin = draw(st.integers(0, len(content)))
        end = min(len(content), begin + draw(st.integers(1, LONGEST)))
        part = content[begin:end]
        match draw(st.sampled_from(["flip", "overwrite", "insert", "delete", "cut", "move", "repeat"])):
            case "flip" if part:
                content = content[:begin] + bytes([part[0] ^ (1 << draw(st.integers(0, 7)))]) + content[begin + 1 :]
            case "overwrite":
                new = draw(st.binary(min_size=len(part), max_size=len(part)))
                content = content[:begin] + new + content[end:]
            case "insert":
                content = content[:begin] + draw(st.sampled_from(RARE) | st.binary(max_size=16)) + content[begin:]
            case "delete":
                content = content[:begin] + content[end:]
            case "cut":
                content = content[:begin]
            case "move":
                rest = content[:begin] + content[end:]
                at = draw(st.integers(0, len(rest)))
                content = rest[:at] + part + rest[at:]
            case "repeat":
                content = content[:end] + part * draw(st.integers(1, 20)) + content[end:]
    return content
