"""The end of a stream, where records are put: the current segment, the offset in it, and how far it may be filled.

The hot path (`_writer.py`) notices by one comparison that something is to be done (the segment ends, there is none, the
file system is one where mapping is not safe): `_limit` is the greatest offset at which nothing needs doing.
"""

from __future__ import annotations

import time
from mmap import mmap
from typing import Union

from ._format import POINT_RECORD_BYTES, ROLE_CHILD, U32, U32_PAIR, checksum, record_bytes
from ._ids import Identity
from ._losses import Losses
from ._refusals import Refusals
from ._segment import Segment
from ._series import Series, SeriesKey
from ._stream import Stream
from ._turns import Turns

# What a point is stored into: a mapping, or an empty stand-in that the limit keeps the hot path away from.
Memory = Union[mmap, bytearray]

# How often a mapped segment is looked at, whether it is still there: after so many bytes (819 points), and then at most
# once in so many seconds. The point that does so takes 3 µs in place of 0.6.
_LOOK_BYTES = 32_768
LOOK_SECONDS = 1.0
_pack_u32 = U32.pack_into


class Appender(Turns):
    """Puts records at the end of `stream`. All of it is called in turn: under the lock, with the busy flag set."""

    __slots__ = (
        "_aside_bytes",
        "_aside_events",
        "_at",
        "_base",
        "_declared",
        "_look_at",
        "_losses",
        "_memory",
        "_seed",
        "_segment",
        "_stream",
    )

    def __init__(self, stream: Stream, refusals: Refusals) -> None:
        super().__init__(refusals)
        self._losses = Losses(refusals)
        self._begin(stream)

    def _begin(self, stream: Stream) -> None:
        """The state of a stream of which nothing has been written."""
        self._stream = stream
        # The series whose record lies in the current segment (J5.3).
        self._declared: dict[SeriesKey, Series] = {}
        self._is_torn = False
        # When to look whether the segment is still there; what it holds besides points.
        self._look_at = 0.0
        self._aside_bytes = self._aside_events = 0
        # What the hot path needs of the current segment. `_at` is the offset of the next record, here and nowhere else.
        self._segment: Segment | None = None
        self._memory: Memory = bytearray()
        self._at = self._base = self._seed = 0
        self._limit = -1

    @property
    def identity(self) -> Identity:
        """Who writes: another one after a fork."""
        return self._stream.identity

    @property
    def is_child(self) -> bool:
        """Whether this process was forked from the one that began the run."""
        return self._stream.role == ROLE_CHILD

    @property
    def position(self) -> int:
        """Where the next record of the stream goes; it grows with every record."""
        return self._at + self._base

    @property
    def is_losing(self) -> bool:
        """Whether the journal could not be written when it was last tried."""
        return self._losses.is_losing

    @property
    def has_stream(self) -> bool:
        """Whether anything of this stream exists on the disk."""
        return self._stream.exists

    def _store(self, body: bytes, count: int = 1) -> bool:
        """Writes a record (kind and payload) where `_room` made room for it. False: the disk refused it, and `count`
        events are lost."""
        segment = self._stream.segment
        if segment is None:  # forked since `_room`
            self._lose(count)
            return False
        at = self._at
        size = record_bytes(len(body) - 4)
        crc = checksum(body, segment.salt, at + self._base)
        memory = segment.map
        if memory is None:
            try:
                segment.append((U32_PAIR.pack(len(body), crc) + body).ljust(size, b"\0"))
            except OSError as error:
                self._abandon(error)
                self._lose(count)
                return False
        else:  # J3.4: the length last
            memory[at + 8 : at + 8 + len(body)] = body
            _pack_u32(memory, at + 4, crc)
            _pack_u32(memory, at, len(body))
        self._at = at + size
        return True

    def _room(self, needed: int) -> bool:
        """Sees to it that `needed` bytes fit the current segment, or else a new one. False: there is no room."""
        if self._closed:
            return False
        if self._is_torn:
            self._mend()
            self._is_torn = False
        self._is_there()
        segment = self._stream.segment
        if segment is None or (segment is self._segment and self._at + needed > segment.end):
            if not self._losses.is_time_to_retry:
                return False
            if segment is not None:
                self._stream.count(segment, self._events())
            try:
                segment = self._stream.advance(self._at + self._base, needed)
            except (OSError, ValueError) as error:
                self._note(error)
                return False
            self._use(segment)
        elif segment is not self._segment:
            self._use(segment)
            return self._room(needed)
        elif segment.map is not None and self._at > segment.end // 2 and not self._stream.is_reserving:
            self._stream.reserve_ahead()
        self._set_limit(segment)
        return True

    def _room_at_end(self, needed: int) -> bool:
        """Whether `needed` bytes fit where `_room` says no: into what the current segment keeps for the end record."""
        segment = self._segment
        is_current = segment is not None and segment is self._stream.segment and not self._closed
        return is_current and segment is not None and self._at + needed <= segment.whole

    def _use(self, segment: Segment) -> None:
        if segment is not self._stream.segment:
            return  # forked since it was made: it is the parent's
        self._declared = {}
        self._memory = segment.map if segment.map is not None else bytearray()
        self._at, self._base = segment.at, segment.base
        # J3.3's seed but for the low half of the position; the high half stays the same (see `_set_limit`).
        self._seed = segment.salt ^ (segment.base + segment.start >> 32)
        self._was_inside = False
        self._aside_bytes = self._aside_events = 0
        self._segment = segment  # last: an interrupt before this line makes _room begin anew
        self._losses.recovered()

    def _events(self) -> int:
        """How many events the current segment holds: what is not aside is points."""
        segment = self._segment
        if segment is None or segment is not self._stream.segment:
            return 0
        return (self._at - segment.at - self._aside_bytes) // POINT_RECORD_BYTES + self._aside_events

    def _set_limit(self, segment: Segment) -> None:
        is_across_4_gib = segment.base + segment.start >> 32 != segment.base + segment.end >> 32
        if segment.map is None or is_across_4_gib:
            self._limit = -1
        else:
            # Up to half of the segment; once the next one is under way, to its end; and never far without a look.
            end = segment.end - POINT_RECORD_BYTES if self._stream.is_reserving else segment.end // 2
            self._limit = min(end, self._at + _LOOK_BYTES)

    def _end(self) -> None:
        """Gives the stream up: logged later is refused."""
        if self._is_torn:
            self._mend()
        self._end_turns()
        self._memory = bytearray()
        # Where a record is under way, or a segment was left unused, nobody knows where the records end.
        is_known = not self._busy and self._segment is not None and self._segment is self._stream.segment
        self._stream.close(self._at if is_known else None)

    # When something is wrong.

    def _mend(self) -> None:
        """After an exception in the middle of a record: it is there, or it is as if it had never been begun."""
        segment = self._stream.segment
        if segment is None or segment is not self._segment:
            return  # It stopped between two segments, which _room finds out.
        try:
            self._at = segment.mended(self._at)
        except OSError as error:
            self._abandon(error)

    def _abandon(self, error: OSError) -> None:
        """Leaves a segment with a torn tail: readers pass over it once the next one holds a record (J4.2)."""
        segment = self._stream.segment
        if segment is not None:
            self._stream.count(segment, self._events())
        self._stream.leave()
        self._limit = -1
        self._note(error)

    def _is_there(self) -> bool:
        """Looks, at most once a second, whether the segment was deleted; then what it held is counted as lost, and a
        stream of its own begins, with a lock and a run-started record of its own, as soon as a folder can be made."""
        now = time.monotonic()
        if now < self._look_at or self._closed:
            return True
        self._look_at = now + LOOK_SECONDS
        before = self._stream
        segment = before.segment
        if segment is None or segment is not self._segment or not segment.is_deleted():
            return True
        before.count(segment, self._events())
        lost = before.lost_events()
        self._begin(before.renew())
        self._look_at = now + LOOK_SECONDS
        self._losses.lose_written(lost, f"somebody deleted {before.folder} while it was written")
        return False

    def _note(self, error: Exception) -> None:
        if not self._was_inside:
            self._losses.note(error, self._stream.journal)

    def _lose(self, count: int) -> None:
        if self._was_inside:
            return
        if self._closed:
            self._refuse_closed()
        else:
            self._losses.lose(count)
