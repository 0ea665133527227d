"""The writer of one stream: turns what this process logs into records (docs/spec/journal.md §3, §5, §9).

A point of a known series is 40 bytes stored into mapped memory: no system call. Everything else (a series seen for the
first time, the end of a segment, a file system where mapping is not safe, no room on the disk) takes the slow path.
The hot path notices any of these by one comparison, since `_limit` is the greatest offset at which nothing needs doing.

One lock serves all threads. Its own thread can enter it again, which happens when a signal handler logs while `log` is
at work: the busy flag then sends the record to a queue, which the outer call writes.
"""

from __future__ import annotations

import sys
import threading
import time
from mmap import mmap
from types import FrameType
from typing import Callable, NoReturn, Union
from zlib import crc32

from . import _forks
from ._format import (
    HEARTBEAT,
    PAYLOAD_BYTES_MAX,
    POINT,
    POINT_BODY,
    POINT_CHECKED,
    POINT_LENGTH,
    POINT_RECORD_BYTES,
    ROLE_CHILD,
    RUN_FINISHED,
    SERIES,
    STEP_MAX,
    STEP_MIN,
    U32,
    U32_PAIR,
    checksum,
    record_bytes,
)
from ._ids import Identity
from ._losses import Losses
from ._refusals import Refusals, describe, describe_error, warn
from ._segment import Segment
from ._series import InContext as InContext  # keys are part of what a writer takes
from ._series import Series, SeriesKey, meet
from ._stream import Clock, Stream, TooLarge, sync
from ._values import one_step

Convert = Callable[[object, object, object], None]
# What a point is stored into: a mapping, or an empty stand-in that the limit keeps the hot path away from.
Memory = Union[mmap, bytearray]

# How often a mapped segment is looked at, whether it is still there: after so many bytes (819 points), and then at most
# once in so many seconds. The point that does so takes 3 µs in place of 0.6.
_LOOK_BYTES = 32_768
LOOK_SECONDS = 1.0
# J7.8: what a user has not logged counts as none.
_NO_EVENTS = (RUN_FINISHED, HEARTBEAT)
_pack_point = POINT_BODY.pack
_pack_checked = POINT_CHECKED.pack_into
_pack_u32 = U32.pack_into


class Writer:
    """Appends records to `stream`, whose files are made by `open` or else at the first record.

    Args:
        refusals: where losses and refusals are counted.
        context: the JSON (sorted keys) of the context that a series has unless its key brings one.
        convert: takes name, value and step from `log` when they are of other types; default: refused.
        clock: source of the times of points, in seconds since the Unix epoch.
    """

    # Slots: beyond 30 attributes an ordinary object gets slow, and `log` reads ten of them.
    __slots__ = (
        "__weakref__",
        "_acquire",
        "_aside_bytes",
        "_aside_events",
        "_at",
        "_base",
        "_busy",
        "_clock",
        "_closed",
        "_context",
        "_convert",
        "_declared",
        "_is_torn",
        "_limit",
        "_lock",
        "_look_at",
        "_losses",
        "_memory",
        "_queue",
        "_refusals",
        "_release",
        "_seed",
        "_segment",
        "_series",
        "_stream",
        "_text_steps",
        "_was_inside",
        "iteration",
    )

    def __init__(
        self,
        stream: Stream,
        refusals: Refusals,
        context: str = "{}",
        convert: Convert | None = None,
        clock: Clock = time.time,
    ) -> None:
        # The step of points that come without one (J5.20); None until it is set.
        self.iteration: int | None = None
        self._refusals = refusals
        self._context = context
        self._convert: Convert = convert if convert is not None else self._refuse
        self._clock = clock
        self._losses = Losses(refusals)
        self._closed = False
        self._lock = threading.RLock()
        self._begin(stream)
        _forks.watch(self)

    def _begin(self, stream: Stream) -> None:
        """The state of a stream of which nothing has been written."""
        self._stream = stream
        self._acquire, self._release = self._lock.acquire, self._lock.release
        self._busy = False
        self._queue: list[Callable[[], None]] = []
        self._series: dict[SeriesKey, Series] = {}
        self._text_steps: dict[tuple[str, str], int] = {}
        # The series whose record lies in the current segment (J5.3).
        self._declared: dict[SeriesKey, Series] = {}
        self._is_torn = False
        # When to look whether the segment is still there; what it holds besides points.
        self._look_at = 0.0
        self._aside_bytes = self._aside_events = 0
        # In a forked child whose thread forked in the middle of a record: that record is the parent's, and what fails
        # of it here is nobody's business. Until the child's own stream begins.
        self._was_inside = False
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
    def is_closed(self) -> bool:
        """Whether the stream has ended."""
        return self._closed

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

    def log(self, name: SeriesKey, value: float, iteration: int | None = None, step: int | None = None) -> None:
        """Records one point; never raises. What is not an exact float at an exact int is handed to `convert`.

        It stands in for `Experiment.log_metric`, and so takes the step under both names; `iteration` is the quick one.
        """
        if type(value) is not float or step is not None or (type(iteration) is not int and iteration is not None):
            self._convert(name, value, one_step(iteration, step, self._refusals))
            return
        mine = False
        try:
            # Not a `with` block, which costs 80 ns more.
            self._acquire()
            if self._busy and self._is_inside(sys._getframe(1)):
                moment = self._clock()
                self._queue.append(lambda: self._point(name, value, iteration, moment))
            else:
                mine = self._busy = True
                at = self._at
                series = self._declared.get(name)
                if series is None or at > self._limit or iteration is None or not STEP_MIN <= iteration <= STEP_MAX:
                    self._point(name, value, iteration, None)
                else:
                    if iteration > series.greatest:
                        series.greatest = iteration
                    body = _pack_point(POINT, series.number, iteration, value, self._clock())
                    memory = self._memory
                    # One call for both is 50 ns less than two. The length last: its other three bytes are zero.
                    _pack_checked(memory, at + 4, crc32(body, self._seed ^ (at + self._base)), body)
                    memory[at] = POINT_LENGTH
                    self._at = at + POINT_RECORD_BYTES
                self._busy = False
                if self._queue:
                    self._drain()
            self._release()
        except ReferenceError:
            self._refuse_closed()  # raised by what stands in for the lock of a stream that has ended
        except BaseException as error:
            # Nothing is called before the lock is given back, since a call is where the next signal may raise.
            if mine:
                self._is_torn = True  # perhaps: the next record looks, and mends it
                self._limit = -1
                self._busy = False
            try:
                self._release()
            except RuntimeError:
                pass  # It was stopped before it had the lock, or after it gave it back.
            if not isinstance(error, Exception):
                raise  # A KeyboardInterrupt is the user's.
            self._fail(name, error)

    def point(self, key: SeriesKey, value: float, step: int | None, moment: float | None = None) -> None:
        """Records one point at the time `moment` (seconds since the Unix epoch; default: now)."""
        self._run(lambda: self._point(key, value, step, moment))

    def record(self, kind: int, payload: bytes) -> None:
        """Records a JSON payload; one that does not fit a record is spilled to a blob first (J6.1)."""
        if len(payload) > PAYLOAD_BYTES_MAX and not self._closed:
            # Outside of the lock: hashing and writing 64 MiB takes a while.
            try:
                payload = self._stream.spill(payload)
            except TooLarge as error:
                self._refusals.add("size", str(error))
                return
            except OSError as error:
                if not self._was_inside:
                    self._refusals.add("lost", f"{error.strerror}: {self._stream.folder}")
                return
        self._run(lambda: self._put(kind, payload))

    def text_step(self, name: str, context: str, step: int | None) -> int:
        """Returns the step of a text: the one given, else the default of J5.20, kept for each (name, context)."""
        with self._lock:
            greatest = self._text_steps.get((name, context))
            if step is None:
                step = self.iteration if self.iteration is not None else 0 if greatest is None else greatest + 1
            if greatest is None or step > greatest:
                self._text_steps[name, context] = step
            return step

    def open(self) -> None:
        """Makes the stream's files now; when that fails it is said, and tried again at later records."""
        self._run(lambda: None if self._room(0) else self._lose(0))

    def look(self) -> bool:
        """Looks whether what was recorded is still there. False: its files were deleted, which is counted and said."""
        is_there = True

        def find_out() -> None:
            nonlocal is_there
            self._look_at = 0.0
            is_there = self._is_there()

        self._run(find_out)
        return is_there

    def flush(self) -> bool:
        """Brings what was recorded so far to the disk (J9.1). Returns False when that failed, which is said.

        The lock is not held meanwhile: other threads go on logging.
        """
        is_there = self.look()
        with self._lock:
            files, folders = self._stream.unsynced()
        try:
            sync(files, folders)
        except OSError as error:
            warn(f"flush failed, {error.strerror}: {error.filename or self._stream.journal}")
            return False
        with self._lock:
            self._stream.synced(files, folders)
        return is_there

    def when_free(self, action: Callable[[], None]) -> None:
        """Runs `action` now or, in a signal handler that interrupted a record, right after that record."""
        with self._lock:
            if self._busy and self._is_inside(sys._getframe(1)):
                self._queue.append(lambda: self._outside(action))
                return
        action()

    def close(self, last: tuple[int, bytes] | None = None) -> None:
        """Ends the stream, with kind and payload of its last record, and gives its lock up. Logged later is refused."""
        with self._lock:  # around both: another thread's record must not come in between
            if last is not None:
                self.record(*last)
            if self._is_torn:
                self._mend()
            self._closed = True
            # A daemon thread that the end of the interpreter stops inside of the lock never gives it back: nobody waits
            # for the lock of a stream that has ended.
            self._acquire = _no_lock  # type: ignore[assignment]
            self._limit = -1
            self._memory = bytearray()
            # Where a record is under way, or a segment was left unused, nobody knows where the records end.
            is_known = not self._busy and self._segment is not None and self._segment is self._stream.segment
            self._stream.close(self._at if is_known else None)
            _forks.unwatch(self)

    # Under the lock, with the busy flag set.

    def _run(self, action: Callable[[], None]) -> None:
        if self._closed:
            self._refuse_closed()
            return
        with self._lock:
            if self._busy and self._is_inside(sys._getframe(1)):
                self._queue.append(action)
                return
            self._busy = True
            try:
                action()
            except BaseException as error:
                self._is_torn = True
                self._limit = -1
                if not (self._was_inside and isinstance(error, Exception)):
                    raise
            finally:
                self._busy = False
                if self._queue:
                    self._drain()

    def _drain(self) -> None:
        while self._queue:
            self._run(self._queue.pop(0))

    def _outside(self, action: Callable[[], None]) -> None:
        """Runs a queued action with the busy flag down, since it may record and close."""
        self._busy = False
        action()

    def _point(self, key: SeriesKey, value: float, step: int | None, moment: float | None) -> None:
        series = self._series.get(key) or meet(self._series, key, self._context, self._refusals)
        if series is None:
            return
        if step is None:
            step = self.iteration if self.iteration is not None else series.next_step()
        if not STEP_MIN <= step <= STEP_MAX:
            self._refusals.add("step", f"{describe(key)} at {step}")
            return
        if step > series.greatest:
            series.greatest = step
        body = _pack_point(POINT, series.number, step, value, self._clock() if moment is None else moment)
        needed = POINT_RECORD_BYTES + (0 if key in self._declared else record_bytes(len(series.payload)))
        if not self._room(needed):
            self._lose(1)
            return
        if key not in self._declared:  # asked again: there may be a new segment
            if not self._store(U32.pack(SERIES) + series.payload):
                return
            self._aside_bytes += record_bytes(len(series.payload))
            self._declared[key] = series
        self._store(body)

    def _put(self, kind: int, payload: bytes) -> None:
        size = record_bytes(len(payload))
        count = 0 if kind in _NO_EVENTS else 1
        if not self._room(size):
            self._lose(count)
        elif self._store(U32.pack(kind) + payload, count):
            self._aside_bytes += size
            self._aside_events += count

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

    # When something is wrong.

    def _is_inside(self, frame: FrameType | None) -> bool:
        """Whether `frame`, or one that called it, is in the middle of a record of this writer.

        If none is, the busy flag is left over: before Python 3.11 an exception may come between any two instructions,
        and so between the end of a record and the line that takes the flag down.
        """
        while frame is not None:
            if frame.f_code in _RECORDING and frame.f_locals.get("self") is self:
                return True
            frame = frame.f_back
        self._is_torn = True
        self._limit = -1
        return False

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
        series, steps = self._series, self._text_steps
        renewed = before.renew()
        busy = self._busy
        queue = self._queue
        self._begin(renewed)
        self._series, self._text_steps, self._busy, self._queue = series, steps, busy, queue
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

    def _refuse_closed(self) -> None:
        try:
            self._refusals.add("inactive")
        except Exception:
            pass  # The interpreter is going down, and has taken this module's names away.

    def _refuse(self, name: object, value: object, step: object) -> None:
        self._refusals.add("value", describe(value))

    def _fail(self, name: object, error: Exception) -> None:
        if self._was_inside:
            return
        if isinstance(name, str):
            self._refusals.add("internal", describe_error(error))
        else:
            self._refusals.add("name", describe(name))

    def forked(self) -> None:
        """In a forked child: lets go of the parent's files, and becomes a writer of its own at its first record.

        The mapping is closed, so that a record that was half-way through when its thread forked cannot be finished here
        as well, in the parent's segment.
        """
        before = self._stream
        # The lock stays, and who is inside of it gives it back, unless a thread holds it that is not in this process.
        was_inside: bool = self._lock._is_owned()  # type: ignore[attr-defined]  # as threading.Condition asks it
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            self._lock = threading.RLock()
        before.detach()
        of = before.identity.writer if before.exists or before.identity.of is None else before.identity.of
        identity = Identity.here(before.identity.run, of)
        self._losses = Losses(self._refusals)
        self._begin(Stream(before.folder, identity, ROLE_CHILD, before.mapped))
        self._was_inside = was_inside
        self._refusals.forked()


def _no_lock() -> NoReturn:
    """What the lock of a stream that has ended is acquired by. The error is a built-in one, since the names of modules
    are gone when the last `__del__` logs."""
    raise ReferenceError


_RECORDING = (Writer.log.__code__, Writer._run.__code__)
