"""The writer of one stream: what this process logs, as records in segments (docs/spec/journal.md §2 to §6, §9).

A point of a known series is 40 bytes stored into mapped memory: no system call. Everything else (a series seen for the
first time, the end of a segment, a file system where mapping is not safe, no room on the disk) takes the slow path.
The hot path notices any of these by one comparison, since `_limit` is the greatest offset at which nothing needs doing.

One lock serves all threads. It can be entered again by its own thread, which happens when a signal handler logs while
`point` is at work: the busy flag then sends the record to a queue, which the outer call writes.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import Callable, Dict, List, Optional, Set, Tuple, Union
from zlib import crc32

from ._blob import write_blob
from ._format import (
    BLOB_BYTES_MAX,
    CONTINUED,
    HEARTBEAT,
    PAYLOAD_BYTES_MAX,
    POINT,
    POINT_BODY,
    POINT_LENGTH,
    POINT_RECORD_BYTES,
    ROLE_CHILD,
    SERIES,
    STEP_MAX,
    U32,
    U64,
    checksum,
    encode_record,
    record_bytes,
)
from ._ids import Identity, new_salt
from ._lock import Lock, take_lock
from ._payload import encode, encode_context, is_name, plain_text
from ._refusals import Refusals, describe, warn
from ._segment import Clock, SaltSource, Segment

# A series' name where it has the writer's own context, else (name, context as JSON with sorted keys).
SeriesKey = Union[str, Tuple[str, str]]

# How often the disk is asked again after it had no room, in seconds.
RETRY_SECONDS = 1.0
# J5.7
HEARTBEAT_SECONDS = 30.0
# How long the end of a run waits for a segment that is being reserved, in seconds.
_SPARE_WAIT_SECONDS = 5.0
_NO_STEP = -(1 << 63)
_pack_point = POINT_BODY.pack
_pack_u32 = U32.pack_into


class Series:
    """A series of this stream: its number, the JSON of its record, and the greatest step it has seen."""

    __slots__ = ("greatest", "number", "payload")

    def __init__(self, number: int, payload: bytes) -> None:
        self.number = number
        self.payload = payload
        self.greatest = _NO_STEP

    def next_step(self) -> int:
        """Returns one more than the greatest step so far, from 0 (J5.20)."""
        return 0 if self.greatest == _NO_STEP else self.greatest + 1


class Writer:
    """Appends records to a stream of segments in `<folder>/journal`. Files are made by `open`, or at the first record.

    Args:
        folder: the run's folder, an absolute path.
        identity: who writes; a forked child gets one of its own.
        role: of the segment header.
        mapped: write to mapped memory; else one `write` a record.
        refusals: where losses and refusals are counted.
        opening: kind and payload of the stream's first record.
        context: the JSON (sorted keys) of the context that a series has unless the caller gives one.
        heartbeat: write one every 30 s, for file systems whose locks cannot be trusted.
        clock, salt: sources of times (seconds) and of segments' salts; replaced only to make golden files.
    """

    def __init__(
        self,
        folder: str,
        identity: Identity,
        *,
        role: int,
        mapped: bool,
        refusals: Refusals,
        opening: Optional[Tuple[int, bytes]] = None,
        context: str = "{}",
        heartbeat: bool = False,
        clock: Clock = time.time,
        salt: SaltSource = new_salt,
    ) -> None:
        self.folder = folder
        self.identity = identity
        self.role = role
        # The step of points that come without one (J5.20); None until `set_iteration`.
        self.iteration: Optional[int] = None
        self._journal = os.path.join(folder, "journal")
        self._mapped = mapped and hasattr(os, "posix_fallocate")
        self._refusals = refusals
        self._opening = opening
        self._context = context
        self._heartbeat = heartbeat
        self._clock = clock
        self._salt_source = salt
        self._closed = False
        self._reset()
        _live.add(self)
        _watch_forks()

    def _reset(self) -> None:
        """The state of a stream of which nothing has been written."""
        self._lock = threading.RLock()
        self._busy = False
        self._queue: List[Callable[[], None]] = []
        self._series: Dict[SeriesKey, Series] = {}
        self._text_steps: Dict[Tuple[str, str], int] = {}
        # The series whose record lies in the current segment (J5.3).
        self._declared: Dict[SeriesKey, Series] = {}
        self._number = 0
        self._held: Optional[Lock] = None
        self._segment: Optional[Segment] = None
        self._spare: List[Segment] = []
        self._reserving: Optional[threading.Thread] = None
        self._retry_at = 0.0
        self._losing = False
        self._unsynced: List[str] = []
        self._folders_unsynced: Set[str] = set()
        self._stopping = threading.Event()
        # Copies of the current segment's fields for the hot path; _at is the only true one while a segment is open.
        self._map = None
        self._at = self._base = self._salt = 0
        self._limit = -1

    # What callers log.

    def point(self, key: SeriesKey, value: float, step: Optional[int]) -> None:
        """Records one point. `value` is an exact float, `step` within ±(2^53 − 1) or None for the default (J5.20)."""
        with self._lock:
            if self._busy:
                moment = self._clock()
                self._queue.append(lambda: self._point(key, value, step, moment))
                return
            self._busy = True
            try:
                at = self._at
                series = self._declared.get(key)
                if step is None or series is None or at > self._limit:
                    self._point(key, value, step, None)
                else:
                    if step > series.greatest:
                        series.greatest = step
                    body = _pack_point(POINT, series.number, step, value, self._clock())
                    target = self._map
                    position = at + self._base
                    target[at + 8 : at + 40] = body  # type: ignore[index]  # a limit above -1 means it is mapped
                    _pack_u32(target, at + 4, crc32(body, self._salt ^ position ^ (position >> 32)))  # type: ignore[arg-type]
                    _pack_u32(target, at, POINT_LENGTH)  # type: ignore[arg-type]
                    self._at = at + POINT_RECORD_BYTES
            except BaseException:
                self._mend()
                raise
            finally:
                self._busy = False
                if self._queue:
                    self._drain()

    def point_at(self, key: SeriesKey, value: float, step: Optional[int], moment: float) -> None:
        """Records one point at the time `moment` in seconds since the Unix epoch."""
        self._run(lambda: self._point(key, value, step, moment))

    def record(self, kind: int, payload: bytes) -> None:
        """Records a JSON payload; one that does not fit a record is spilled to a blob first (J6.1)."""
        if len(payload) > PAYLOAD_BYTES_MAX:
            spilled = self._spill(payload)
            if spilled is None:
                return
            payload = spilled
        self._run(lambda: self._put(kind, payload))

    def text_step(self, name: str, context: str, step: Optional[int]) -> int:
        """Returns the step of a text: the one given, else the default of J5.20, kept for each (name, context)."""
        with self._lock:
            greatest = self._text_steps.get((name, context))
            if step is None:
                step = self.iteration if self.iteration is not None else 0 if greatest is None else greatest + 1
            if greatest is None or step > greatest:
                self._text_steps[name, context] = step
            return step

    def open(self) -> None:
        """Makes the stream's files now; when that fails, it is tried again at later records."""
        self._run(lambda: None if self._room(0) else self._lose(0))

    def flush(self) -> bool:
        """Brings what was recorded so far to the disk (J9.1). Returns False when that failed, which is said once.

        The lock is not held meanwhile: other threads go on logging.
        """
        with self._lock:
            files = list(self._unsynced)
            folders = list(self._folders_unsynced)
            if self._segment is not None:
                files.append(self._segment.path)
        try:
            for path in files:
                _sync(path, os.fdatasync if hasattr(os, "fdatasync") else os.fsync)
            for path in folders:
                _sync(path, os.fsync)
        except OSError as error:
            warn(f"flush failed, {error.strerror or error}: {error.filename or self._journal}")
            return False
        with self._lock:
            self._unsynced = [path for path in self._unsynced if path not in files]
            self._folders_unsynced.difference_update(folders)
        return True

    def when_free(self, action: Callable[[], None]) -> None:
        """Runs `action` now, or, when called from a signal handler that interrupted a record, right after that record."""
        with self._lock:
            if self._busy:
                self._queue.append(lambda: self._outside(action))
                return
        action()

    def close(self) -> None:
        """Ends the stream: the segment is unmapped, the lock given up. What is logged later is refused."""
        with self._lock:
            self._closed = True
            self._limit = -1
            self._map = None
            self._stopping.set()
            if self._reserving is not None:
                self._reserving.join(_SPARE_WAIT_SECONDS)
            while self._spare:
                self._spare.pop().close()
            if self._segment is not None:
                self._segment.at = self._at
                self._unsynced.append(self._segment.path)
                self._segment.close()
                self._segment = None
            if self._held is not None:
                self._held.close()
                self._held = None
            _live.discard(self)

    @property
    def has_stream(self) -> bool:
        """Whether anything of this stream exists on the disk."""
        return self._number > 0

    # Under the lock, with the busy flag set.

    def _run(self, action: Callable[[], None]) -> None:
        with self._lock:
            if self._busy:
                self._queue.append(action)
                return
            self._busy = True
            try:
                action()
            except BaseException:
                self._mend()
                raise
            finally:
                self._busy = False
                if self._queue:
                    self._drain()

    def _outside(self, action: Callable[[], None]) -> None:
        """Runs an action that was queued with the busy flag down, since it may record and close."""
        self._busy = False
        action()

    def _drain(self) -> None:
        while self._queue:
            self._run(self._queue.pop(0))

    def _point(self, key: SeriesKey, value: float, step: Optional[int], moment: Optional[float]) -> None:
        series = self._series.get(key) or self._meet(key)
        if series is None:
            return
        if step is None:
            step = self.iteration if self.iteration is not None else series.next_step()
            if step > STEP_MAX:
                self._refusals.add("step", f"the default step of {describe(key)} after {series.greatest}")
                return
        if step > series.greatest:
            series.greatest = step
        body = _pack_point(POINT, series.number, step, value, self._clock() if moment is None else moment)
        needed = POINT_RECORD_BYTES if key in self._declared else POINT_RECORD_BYTES + record_bytes(len(series.payload))
        if not self._room(needed):
            self._lose(1)
            return
        if key not in self._declared:  # asked again: there may be a new segment
            if not self._store(U32.pack(SERIES) + series.payload):
                return
            self._declared[key] = series
        self._store(body)

    def _meet(self, key: SeriesKey) -> Optional[Series]:
        """Gives a new series its number; None when its name is refused."""
        name, context = (key, self._context) if isinstance(key, str) else key
        if not is_name(name):
            self._refusals.add("name", describe(name))
            return None
        if isinstance(key, str) and type(key) is not str:
            key = plain_text(key)
            known = self._series.get(key)
            if known is not None:
                return known
        number = len(self._series)
        payload = b'{"series":%d,"name":%s,"context":%s}' % (number, encode(plain_text(name)), context.encode("utf-8"))
        series = self._series[key] = Series(number, payload)
        return series

    def _put(self, kind: int, payload: bytes) -> None:
        if self._room(record_bytes(len(payload))):
            self._store(U32.pack(kind) + payload)
        else:
            self._lose(1)

    def _store(self, body: bytes) -> bool:
        """Writes a record (kind and payload) where `_room` has made room for it. False: the disk refused, it is lost."""
        at = self._at
        position = at + self._base
        target = self._map
        if target is None:
            assert self._segment is not None
            try:
                self._segment.append(encode_record(U32.unpack_from(body)[0], body[4:], self._salt, position))
            except OSError as error:
                self._abandon(error)
                self._lose(1)
                return False
        else:
            target[at + 8 : at + 8 + len(body)] = body
            _pack_u32(target, at + 4, checksum(body, self._salt, position))
            _pack_u32(target, at, len(body))
        self._at = at + record_bytes(len(body) - 4)
        return True

    def _mend(self) -> None:
        """After an exception (a KeyboardInterrupt, say) in the middle of a record: it is there, or as if never begun.

        A record whose length is stored is published, whoever interrupted us: the next one goes behind it. Else what was
        stored of it is wiped, so that zeros follow the last record.
        """
        segment = self._segment
        if segment is None:
            return
        target = segment.map
        if target is None:
            written = os.fstat(segment.fd).st_size
            if written % 8:
                self._abandon(OSError("a torn record"))
            else:
                self._at = written
        elif self._at + 8 <= segment.end:
            length = U32.unpack_from(target, self._at)[0]
            if length:
                self._at += (8 + length + 7) & ~7
            else:
                end = min(segment.end, self._at + record_bytes(PAYLOAD_BYTES_MAX))
                target[self._at : end] = bytes(end - self._at)

    # Segments.

    def _room(self, needed: int) -> bool:
        """Sees to it that `needed` bytes fit the current segment, taking a new one if need be. False: there is no room."""
        if self._closed:
            return False
        segment = self._segment
        if segment is None or self._at + needed > segment.end:
            if time.monotonic() < self._retry_at:
                return False
            try:
                self._advance(needed)
            except (OSError, ValueError) as error:
                self._retry_at = time.monotonic() + RETRY_SECONDS
                self._trouble(error)
                return False
            if self._losing:
                self._losing = False
                self._refusals.say_again("lost")
                warn("the journal can be written again; recording goes on")
        elif self._mapped and self._at > segment.end // 2 and self._reserving is None:
            self._reserve_ahead()
        self._set_limit()
        return True

    def _set_limit(self) -> None:
        segment = self._segment
        if segment is None or segment.map is None:
            self._limit = -1
        else:
            # Up to half of the segment; then, once the next one is under way, to its end.
            self._limit = segment.end // 2 if self._reserving is None else segment.end - POINT_RECORD_BYTES

    def _advance(self, needed: int) -> None:
        """Goes on to a new segment with room for `needed` bytes behind its header and its first record.

        Raises:
            OSError: folder, lock or segment cannot be made.
        """
        opening = self._opening
        first = opening if self._number == 0 else (CONTINUED, U64.pack(self._at + self._base))
        if self._number == 0:
            self._make_folder()
        if first is not None and len(first[1]) > PAYLOAD_BYTES_MAX:
            spilled = self._spill(first[1])
            first = (first[0], spilled) if spilled is not None else None
        # 4,096 bytes: the longest header.
        needed += 4096 + (record_bytes(len(first[1])) if first is not None else 0)
        segment = self._take_spare(needed) or Segment.reserve(
            self._journal, self.identity.writer, self._number, needed, self._mapped
        )
        try:
            segment.begin(
                encode(dict(self.identity.fields())),
                self.role,
                self._salt_source(),
                self._at + self._base,
                self._clock(),
            )
            if first is not None:
                data = encode_record(first[0], first[1], segment.salt, segment.base + segment.at)
                if segment.map is None:
                    segment.append(data)
                else:
                    segment.map[segment.at : segment.at + len(data)] = data
                segment.at += len(data)
            segment.publish()
        except BaseException:
            segment.close()
            raise
        self._switch(segment)

    def _switch(self, segment: Segment) -> None:
        if self._segment is not None:
            self._unsynced.append(self._segment.path)
            self._segment.close()
        self._segment = segment
        self._number += 1
        self._declared = {}
        self._map, self._at, self._base, self._salt = segment.map, segment.at, segment.base, segment.salt  # type: ignore[assignment]
        self._folders_unsynced.add(self._journal)
        self._reserving = None
        self._set_limit()

    def _make_folder(self) -> None:
        """Makes the run's folder and takes the writer's lock, in this order: a segment without a lock is over (J8.6)."""
        if self._held is not None:
            return
        os.makedirs(self._journal, mode=0o700, exist_ok=True)
        parent = self._journal
        for _ in range(4):  # journal, the run, runs, .tracelet
            self._folders_unsynced.add(parent)
            parent = os.path.dirname(parent)
        self._held = take_lock(os.path.join(self._journal, f"{self.identity.writer}.lock"))
        if self._heartbeat:
            threading.Thread(target=self._beat, args=(self._stopping,), name="tracelet-heartbeat", daemon=True).start()

    def _beat(self, stopping: threading.Event) -> None:
        while not stopping.wait(HEARTBEAT_SECONDS):
            self.record(HEARTBEAT, encode({"time": self._clock()}))

    def _reserve_ahead(self) -> None:
        """Starts a thread that reserves the next segment, since that takes a few system calls and perhaps the disk."""
        number, spare = self._number, self._spare

        def reserve() -> None:
            try:
                spare.append(Segment.reserve(self._journal, self.identity.writer, number, 0, True))
            except (OSError, ValueError):
                pass  # No room yet: it is tried again, and said, when the segment is needed.

        thread = threading.Thread(target=reserve, name="tracelet-segment", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return  # No more threads, or the interpreter is going down: reserved when needed.
        self._reserving = thread

    def _take_spare(self, needed: int) -> Optional[Segment]:
        if self._reserving is not None:
            self._reserving.join()
        segment = self._spare.pop() if self._spare else None
        if segment is not None and segment.end < needed:
            segment.close()
            return None
        return segment

    def _abandon(self, error: OSError) -> None:
        """Leaves a segment with a torn tail: readers pass over it once the next one holds a record (J4.2)."""
        segment, self._segment = self._segment, None
        if segment is not None:
            self._unsynced.append(segment.path)
            segment.close()
        self._limit = -1
        self._retry_at = time.monotonic() + RETRY_SECONDS
        self._trouble(error)

    def _spill(self, payload: bytes) -> Optional[bytes]:
        if len(payload) > BLOB_BYTES_MAX:
            self._refusals.add("size", f"{len(payload)} bytes")
            return None
        blobs = os.path.join(self.folder, "blobs")
        try:
            digest = write_blob(blobs, payload)
        except OSError as error:
            self._refusals.add("lost", f"{error.strerror}: {blobs}")
            return None
        with self._lock:
            self._unsynced.append(os.path.join(blobs, digest))
            self._folders_unsynced.update((blobs, self.folder))
        return b'{"$blob":"sha256:%s","bytes":%d}' % (digest.encode("ascii"), len(payload))

    def _trouble(self, error: Exception) -> None:
        self._losing = True
        self._problem = f"{getattr(error, 'strerror', None) or error}: {self._journal}"

    def _lose(self, count: int) -> None:
        if self._closed:
            self._refusals.add("inactive", count=count)
        else:
            self._refusals.add("lost", getattr(self, "_problem", ""), count)

    def forked(self) -> None:
        """In a forked child: forgets the parent's files, and becomes a writer of its own at its first record.

        The mapping is closed, so that a record that was half-way through when its thread forked cannot be finished here
        as well, in the parent's segment.
        """
        parent = self.identity
        was_alive = self.has_stream
        if self._segment is not None:
            self._segment.detach()
        for spare in self._spare:
            spare.detach()
        if self._held is not None:
            self._held.close()
        self._reset()
        self._opening = None
        self.role = ROLE_CHILD
        self.identity = Identity.here(parent.run, parent.writer if was_alive or parent.of is None else parent.of)


_live: "weakref.WeakSet[Writer]" = weakref.WeakSet()
_watching = False


def _watch_forks() -> None:
    global _watching
    if not _watching and hasattr(os, "register_at_fork"):
        _watching = True
        os.register_at_fork(after_in_child=_in_child)


def _in_child() -> None:
    for writer in list(_live):
        try:
            writer.forked()
        except Exception as error:
            warn(f"a forked process records nothing: {error}")


def _sync(path: str, sync: Callable[[int], None]) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        sync(fd)
    finally:
        os.close(fd)


__all__ = ["Series", "SeriesKey", "Writer", "encode_context"]
