"""The writer of one stream: turns what this process logs into records (docs/spec/journal.md §3, §5, §9).

A point of a known series is 40 bytes stored into mapped memory: no system call. Everything else (a series seen for the
first time, the end of a segment, a file system where mapping is not safe, no room on the disk) takes the slow path.
The hot path notices any of these by one comparison; where records go is `_appender.py`'s, and whose turn it is
`_turns.py`'s. They are bases and not parts of a writer, since a look into another object costs the hot path 20 ns.
"""

from __future__ import annotations

import sys
import time
from typing import Callable
from zlib import crc32

from . import _forks
from ._appender import Appender
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
    record_bytes,
)
from ._ids import Identity
from ._losses import Losses
from ._refusals import Refusals, describe, describe_error, warn
from ._series import InContext as InContext  # keys are part of what a writer takes
from ._series import Series, SeriesKey, meet
from ._stream import Clock, Stream, TooLarge, sync
from ._turns import Turns
from ._values import one_step

Convert = Callable[[object, object, object], None]
# J7.8: what a user has not logged counts as none.
_NO_EVENTS = (RUN_FINISHED, HEARTBEAT)
_pack_point = POINT_BODY.pack
_pack_checked = POINT_CHECKED.pack_into


class Writer(Appender):
    """Appends what is logged to `stream`, whose files are made by `open` or else at the first record.

    Args:
        refusals: where losses and refusals are counted.
        context: the JSON (sorted keys) of the context that a series has unless its key brings one.
        convert: takes name, value and step from `log` when they are of other types; default: refused.
        clock: source of the times of points, in seconds since the Unix epoch.
    """

    # Slots, in its bases too: beyond 30 attributes an ordinary object gets slow, and `log` reads ten of them.
    __slots__ = ("_clock", "_context", "_convert", "_series", "_steps", "iteration")

    def __init__(
        self,
        stream: Stream,
        refusals: Refusals,
        context: str = "{}",
        convert: Convert | None = None,
        clock: Clock = time.time,
    ) -> None:
        super().__init__(stream, refusals)
        # The step of points that come without one (J5.20); None until it is set.
        self.iteration: int | None = None
        self._context = context
        self._convert: Convert = convert if convert is not None else self._refuse
        self._clock = clock
        self._forget()
        _forks.watch(self)

    def _forget(self) -> None:
        """The series and texts of a writer that has logged nothing."""
        self._series: dict[SeriesKey, Series] = {}
        self._steps: dict[tuple[int | str, str, str], int] = {}

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

    @property
    def blobs(self) -> str:
        """The folder of the run's blobs; it need not be there."""
        return self._stream.blobs

    def keep(self, content: bytes) -> str:
        """As `Stream.keep`; not under the lock, since hashing and writing take a while."""
        return self._stream.keep(content)

    def next_step(self, kind: int | str, name: str, context: str, step: int | None) -> int:
        """Returns the step of a text or a medium: the one given, else the default of J5.20."""
        with self._lock:
            greatest = self._steps.get((kind, name, context))
            if step is None:
                step = self.iteration if self.iteration is not None else 0 if greatest is None else greatest + 1
            if greatest is None or step > greatest:
                self._steps[kind, name, context] = step
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

    def close(self, *ends: bytes) -> None:
        """Ends the stream, and gives its lock up. Logged later is refused.

        Args:
            ends: payloads of the end record, the best first. The first that there is room for is written.
        """
        with self._lock:  # around both: another thread's record must not come in between
            if ends:
                self._run(lambda: self._put_end(ends))
            self._end()
            _forks.unwatch(self)

    # Under the lock, with the busy flag set.

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

    def _put_end(self, ends: tuple[bytes, ...]) -> None:
        for payload in ends:
            size = record_bytes(len(payload))
            if self._room(size) or self._room_at_end(size):
                if self._store(U32.pack(RUN_FINISHED) + payload, 0):
                    self._aside_bytes += size
                return
        self._lose(0)

    # When something is wrong.

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
        was_inside = self._free_lock()
        before.detach()
        of = before.identity.writer if before.exists or before.identity.of is None else before.identity.of
        identity = Identity.here(before.identity.run, of)
        self._losses = Losses(self._refusals)
        self._take_turns()
        self._forget()
        self._begin(Stream(before.folder, identity, ROLE_CHILD, before.mapped))
        self._was_inside = was_inside
        self._refusals.forked()


Writer._recording = (Writer.log.__code__, Turns._run.__code__)
