"""`Arrivals`: which events of a store a process has seen, so that each counts once, in whatever order events arrive.

    number of arrival   1 2 3 4 5 6 7 8 9        all up to the cut were seen
    seen                ─ ─ ─ │   x   x x        5 and 7 were not: another process stored them, or their transactions
                             cut                 ended late

Numbers are given within transactions, which may end in another order. So the events below the newest one are looked at
again, as many as `UNSETTLED`.

All methods are called in one thread, but for `read_unseen`: it may run in another one meanwhile, and only once at a
time.
"""

from __future__ import annotations

from collections.abc import Collection

from segue.event_store.event_log import EventLog, PastEvent

UNSETTLED = 20_000  # so many newest events may still get predecessors: of a large transaction, or of one that ends late

AT_A_TIME = 100_000  # events that are read in one call


def settled_cut(log: EventLog) -> int:
    """The number of arrival up to which a store gets no more events."""
    return max(0, log.newest_seq() - UNSETTLED)


class Arrivals:
    """The events that were seen.

    Attributes:
        cut: all events up to this number of arrival were seen.
    """

    def __init__(self, cut: int) -> None:
        self.cut = self._checked = cut  # all events up to `_checked` were seen that were there when it was looked for
        self._seen = set[int]()  # numbers of arrival after the cut
        self._again: list[int] = []  # of events that the next `read_unseen` looks for again, and all after them

    def __contains__(self, seq: int) -> bool:
        """Whether an event was seen."""
        return seq <= self.cut or seq in self._seen

    def see(self, seq: int) -> bool:
        """Note that an event is seen; whether it was not before."""
        if seq in self:
            return False
        self._seen.add(seq)
        return True

    def look_again(self, seqs: Collection[int]) -> None:
        """Let events after the cut count as not seen: those that are still there are read again.

        Args:
            seqs: their numbers of arrival.
        """
        self._seen.difference_update(seqs)
        if seqs:
            self._again.append(min(seqs))

    def settle(self) -> None:
        """Move the cut if very many events were seen after it."""
        if len(self._seen) > 4 * UNSETTLED and self._first() > self.cut:
            self.cut = self._first()
            # a copy, or the thread of `read_unseen` might change the set meanwhile; it finds what is undone here again
            self._seen = {seq for seq in self._seen.copy() if seq > self.cut}

    def read_unseen(self, log: EventLog) -> list[tuple[str, PastEvent]]:
        """Users and events in the order of arrival, all that were not seen among them; none if all there are were.

        At most `AT_A_TIME`: the next call goes on. What is found does not count as seen before `see` says so.

        Raises:
            DataError: the store cannot be read.
        """
        num_again = len(self._again)  # those that come from here on are for the next call
        first = self._first()
        self._checked = min(self._checked, first + UNSETTLED)
        del self._again[:num_again]
        seen = {seq for seq in self._seen.copy() if seq > first}  # the newest of all may be an own event
        if log.num_after(first) == (len(seen), sum(seen)):
            self._checked = max(seen, default=self._checked)
            return []
        found = log.after(first, AT_A_TIME)
        present = [event.seq for _, event in found]
        last = present[-1] if len(found) == AT_A_TIME else max(seen, default=first)
        self._seen.difference_update([seq for seq in seen.difference(present) if seq <= last])  # they were erased
        # what is found is seen later, or not at all if that fails
        self._checked = next((seq - 1 for seq in present if seq not in seen), last)
        return found

    def _first(self) -> int:
        """The number of arrival after which there may be events that were not seen."""
        return max(self.cut, min([self._checked - UNSETTLED, *(seq - 1 for seq in self._again)]))
