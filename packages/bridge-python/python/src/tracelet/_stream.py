"""The files of one writer's stream: its folder, its lock, its segments one after another, its spilled payloads.

It knows when a new segment is due and how it begins (docs/spec/journal.md J2.5, J2.6, J5.4), reserves the next one
ahead of time, and remembers what has not been synced yet. What goes into records is the writer's business
(`_writer.py`), and so is the lock between threads (`_turns.py`), under which everything here but `sync` is called.
"""

from __future__ import annotations

import os
import time
from _thread import start_new_thread
from typing import Callable

from ._blob import write_blob
from ._folder import make_folder, make_private
from ._format import (
    BLOB_BYTES_MAX,
    CONTINUED,
    HEADER_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    ROLE_PRIMARY,
    U64,
    encode_record,
    record_bytes,
)
from ._ids import Identity, new_salt
from ._lock import Lock, take_lock
from ._payload import encode
from ._segment import Segment

Clock = Callable[[], float]
SaltSource = Callable[[], int]

# How long to wait at most for a segment that is being reserved, in seconds: another one can be reserved as well.
_SPARE_WAIT_SECONDS = 1.0


class TooLarge(ValueError):
    """A payload is larger than a blob may be."""


class Spare:
    """A segment that a thread reserves; `segment` stays None where there was no room for it."""

    __slots__ = ("is_done", "segment")

    def __init__(self) -> None:
        self.segment: Segment | None = None
        self.is_done = False


class Stream:
    """Segments of `identity.writer` in `<folder>/journal`. Nothing is made before the first `advance`.

    Args:
        folder: the run's folder, an absolute path.
        role: of the segment headers.
        mapped: map the segments; else append to them.
        opening: kind and payload of the stream's first record.
        clock, salt: sources of creation times (seconds) and of salts; replaced only to make golden files.
    """

    __slots__ = (
        "_clock",
        "_events",
        "_folders_unsynced",
        "_is_detached",
        "_journal",
        "_lock",
        "_number",
        "_opening",
        "_opening_given",
        "_salt",
        "_spare",
        "_unsynced",
        "folder",
        "identity",
        "mapped",
        "role",
        "segment",
    )

    def __init__(
        self,
        folder: str,
        identity: Identity,
        role: int = ROLE_PRIMARY,
        mapped: bool = True,
        opening: tuple[int, bytes] | None = None,
        clock: Clock = time.time,
        salt: SaltSource = new_salt,
    ) -> None:
        self.folder = folder
        self.identity = identity
        self.role = role
        self.mapped = mapped and hasattr(os, "posix_fallocate")
        self.segment: Segment | None = None
        self._journal = os.path.join(folder, "journal")
        self._opening_given = self._opening = opening
        self._clock = clock
        self._salt = salt
        self._number = 0
        self._is_detached = False
        self._lock: Lock | None = None
        self._spare: Spare | None = None
        # What the segments that were left hold: path to the count of events.
        self._events: dict[str, int] = {}
        self._unsynced: list[str] = []
        self._folders_unsynced: set[str] = set()

    @property
    def journal(self) -> str:
        """The folder of the segments."""
        return self._journal

    @property
    def exists(self) -> bool:
        """Whether any segment was made."""
        return self._number > 0

    @property
    def is_reserving(self) -> bool:
        """Whether the next segment has been asked for."""
        return self._spare is not None

    def advance(self, ended: int, needed: int) -> Segment:
        """Goes on to a new segment with room for `needed` bytes; the records so far ended at position `ended`.

        Raises:
            OSError: folder, lock or segment cannot be made. The segment so far stays the current one.
        """
        first = self._opening if self._number == 0 else (CONTINUED, U64.pack(ended))
        if self._number == 0:
            self._make_folder()
        if first is not None and len(first[1]) > PAYLOAD_BYTES_MAX:
            self._opening = first = (first[0], self.spill(first[1]))
        needed += HEADER_BYTES_MAX + (record_bytes(len(first[1])) if first is not None else 0)
        segment = self._take_spare(needed) or self._reserve(self._number, needed)
        try:
            identity = encode(dict(self.identity.fields()))
            segment.begin(identity, self.role, self._salt(), ended, self._clock())
            if first is not None:
                segment.put(encode_record(first[0], first[1], segment.salt, segment.base + segment.at))
            if self._is_detached:
                raise OSError("this process was forked meanwhile")
            segment.publish()
        except BaseException:
            if self._is_detached:
                segment.detach()
            else:
                segment.close()
            raise
        # In this order: an interrupt in between may leave a segment unused, never two of one number in use.
        self._number += 1
        self._folders_unsynced.add(self._journal)
        self.leave(self.segment.end if self.segment is not None else None)
        self.segment = segment
        return segment

    def leave(self, ended: int | None = None) -> None:
        """Closes the current segment, if there is one: no more can be written to it. `ended` as for `Segment.close`."""
        segment, self.segment = self.segment, None
        if segment is not None:
            self._unsynced.append(segment.path)
            segment.close(ended)

    def count(self, segment: Segment, events: int) -> None:
        """Says how many events a segment holds."""
        self._events[segment.path] = events

    def lost_events(self) -> int:
        """Returns how many events were in segments whose files are not there any more."""
        return sum(events for path, events in self._events.items() if not os.path.exists(path))

    def renew(self) -> Stream:
        """Ends this stream, whose files are gone, and returns another of the same run, as another writer."""
        identity = Identity.here(self.identity.run, self.identity.of, self.identity.resumes)
        # Its first record may have been spilled to a blob that is gone as well: `advance` spills it again.
        renewed = Stream(self.folder, identity, self.role, self.mapped, self._opening_given, self._clock, self._salt)
        self.close()
        return renewed

    def reserve_ahead(self) -> None:
        """Starts a thread that reserves the next segment: a few system calls, and perhaps the disk's time."""
        spare = self._spare = Spare()
        number = self._number

        def reserve() -> None:
            try:
                spare.segment = self._reserve(number, 0)
            except (OSError, ValueError):
                pass  # No room yet: it is tried again, and said, when the segment is needed.
            finally:
                spare.is_done = True

        try:
            # Not threading.Thread, whose start waits for the thread: for ever, in a child that is forked meanwhile.
            start_new_thread(reserve, ())
        except RuntimeError:
            spare.is_done = True  # No more threads, or the interpreter is going down: reserved when needed.

    def spill(self, payload: bytes) -> bytes:
        """Keeps a payload as a blob and returns the payload that refers to it (J6.1).

        Raises:
            TooLarge: it has more than 64 MiB.
            OSError: the blob cannot be written.
        """
        if len(payload) > BLOB_BYTES_MAX:
            raise TooLarge(f"{len(payload)} bytes")
        return b'{"$blob":"sha256:%s","bytes":%d}' % (self.keep(payload).encode("ascii"), len(payload))

    def keep(self, content: bytes) -> str:
        """Keeps bytes as a blob, which the next flush syncs, and returns their SHA-256 as hexadecimal digits.

        Raises:
            OSError: the blob cannot be written.
        """
        digest = write_blob(self.blobs, content)
        self._unsynced.append(os.path.join(self.blobs, digest))
        self._folders_unsynced.update((self.blobs, self.folder))
        return digest

    @property
    def blobs(self) -> str:
        """The folder of the blobs; it need not be there."""
        return os.path.join(self.folder, "blobs")

    def unsynced(self) -> tuple[list[str], list[str]]:
        """Returns the files and the folders that `sync` has to bring to the disk."""
        current = [self.segment.path] if self.segment is not None else []
        return self._unsynced + current, list(self._folders_unsynced)

    def synced(self, files: list[str], folders: list[str]) -> None:
        """Says that these were synced; the current segment stays to be synced again."""
        current = self.segment.path if self.segment is not None else ""
        for path in files:
            # One by one, since `spill` adds to the list outside of the lock.
            if path != current and path in self._unsynced:
                self._unsynced.remove(path)
        self._folders_unsynced.difference_update(folders)

    def close(self, ended: int | None = None) -> None:
        """Ends the stream: segments are closed, then the lock is given up. `ended` as for `Segment.close`."""
        unused = self._take_spare(0)
        if unused is not None:
            unused.close()
        self.leave(ended)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def detach(self) -> None:
        """In a forked child: lets go of the parent's files and lock, and leaves them as they are.

        A call of `advance` that was under way when its thread forked publishes nothing here.
        """
        self._is_detached = True
        for segment in (self.segment, self._spare.segment if self._spare is not None else None):
            if segment is not None:
                segment.detach()
        if self._lock is not None:
            self._lock.close()

    def _reserve(self, number: int, needed: int) -> Segment:
        return Segment.reserve(self._journal, self.identity.writer, number, needed, self.mapped)

    def _take_spare(self, needed: int) -> Segment | None:
        """Returns the segment that was reserved ahead, if it is the right one; it is waited for, but not long."""
        spare, self._spare = self._spare, None
        if spare is None:
            return None
        end = time.monotonic() + _SPARE_WAIT_SECONDS
        while not spare.is_done and not self._is_detached and time.monotonic() < end:
            time.sleep(0.001)
        segment = spare.segment
        if segment is not None and (segment.end < needed or segment.number != self._number):
            segment.close()
            return None
        return segment

    def _make_folder(self) -> None:
        """Makes the folder and takes the lock, in this order and before any segment: without one it is over (J8.6)."""
        if self._lock is not None:
            return
        runs = os.path.dirname(self.folder)
        if os.path.basename(runs) == "runs":  # the layout of J1; golden files lie elsewhere
            make_folder(os.path.dirname(runs))
        make_private(self._journal)
        parent = self._journal
        for _ in range(4):  # journal, the run, runs, .tracelet
            self._folders_unsynced.add(parent)
            parent = os.path.dirname(parent)
        self._lock = take_lock(os.path.join(self._journal, f"{self.identity.writer}.lock"))


def sync(files: list[str], folders: list[str]) -> None:
    """Brings files and folders to the disk; the interpreter lock is free meanwhile.

    Raises:
        OSError: with the file's name, when one cannot be synced.
    """
    for path in files:
        _sync(path, getattr(os, "fdatasync", os.fsync))
    for path in folders:
        _sync(path, os.fsync)


def _sync(path: str, how: Callable[[int], None]) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        how(fd)
    finally:
        os.close(fd)
