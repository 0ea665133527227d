"""Segment files of one writer: made under a temporary name, published by a rename (docs/spec/journal.md §2, J9.2).

A *mapped* segment is reserved with `posix_fallocate`, so that a full disk shows when it is made and never as a signal
when it is written. An *appended* one starts with its header alone and grows by one `write` a record.
"""

from __future__ import annotations

import errno
import mmap
import os

from ._format import PAYLOAD_BYTES_MAX, U32, encode_header, record_bytes

# J2.8
FIRST_SEGMENT_BYTES = 64 << 10
SEGMENT_BYTES_MAX = 8 << 20
# What a mapped segment keeps beyond that for the end record, so that a full disk does not make a run look killed.
END_BYTES = 4096
_PAGE_BYTES = 4096


def segment_bytes(number: int, needed: int) -> int:
    """Returns the length of segment `number` in bytes; longer than usual only where `needed` bytes ask for it."""
    usual = min(FIRST_SEGMENT_BYTES << min(number, 10), SEGMENT_BYTES_MAX)
    return max(usual, (needed + _PAGE_BYTES - 1) // _PAGE_BYTES * _PAGE_BYTES)


def _reserve(fd: int, length: int, least: int) -> int:
    """Reserves `length` bytes or, where the disk has no room for them, half as many and so on, down to `least`.

    Raises:
        OSError: no room for `least` either.
    """
    while True:
        try:
            os.posix_fallocate(fd, 0, length)
            return length
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or length <= least:
                raise
            os.ftruncate(fd, 0)  # some file systems keep what they had got
            length = max(least, length // 2 // _PAGE_BYTES * _PAGE_BYTES)


class Segment:
    """An open segment. `at` is the file offset that the next record goes to, `base` the stream position of offset 0.

    `map` is None for an appended segment; `end` is the offset that no record may cross but the run's last, which may go
    up to `whole`.
    """

    __slots__ = ("at", "base", "end", "fd", "inode", "map", "number", "path", "salt", "start", "temporary", "whole")

    def __init__(self, path: str, temporary: str, number: int, fd: int, whole: int, mapped: bool) -> None:
        self.path = path
        self.temporary: str | None = temporary
        self.number = number
        self.fd = fd
        self.inode = os.fstat(fd).st_ino
        self.whole = whole
        self.end = whole - END_BYTES if mapped else whole
        self.map = mmap.mmap(fd, whole) if mapped else None
        self.at = self.start = self.base = self.salt = 0

    @classmethod
    def reserve(cls, folder: str, writer: str, number: int, needed: int, mapped: bool) -> Segment:
        """Makes the file of segment `number`, with room for `needed` bytes, that no reader sees yet.

        Raises:
            OSError: no room (ENOSPC, EDQUOT, EFBIG), or the folder cannot be written.
        """
        path = os.path.join(folder, f"{writer}.{number}.tlj")
        length = segment_bytes(number, needed) + END_BYTES if mapped else max(SEGMENT_BYTES_MAX, needed)
        # A name of its own: nothing may ever shorten a file that is mapped.
        temporary = f"{path}.{os.urandom(4).hex()}.tmp"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        fd = os.open(temporary, flags if mapped else flags | os.O_APPEND, 0o600)
        try:
            if mapped:
                length = _reserve(fd, length, segment_bytes(0, needed) + END_BYTES)
            return cls(path, temporary, number, fd, length, mapped)
        except BaseException:
            os.close(fd)
            _unlink(temporary)
            raise

    def begin(self, identity: bytes, role: int, salt: int, stream_offset: int, created: float) -> None:
        """Writes the header: the segment's first record will be at position `stream_offset`."""
        header = encode_header(role, salt, stream_offset, created, self.number, identity)
        self.salt = salt
        self.start = self.at = len(header)
        self.base = stream_offset - len(header)
        if self.map is not None:
            self.map[: len(header)] = header
        else:
            self.append(header)

    def publish(self) -> None:
        """Gives the file its name: from now on readers see it. Raises OSError."""
        temporary = self.temporary
        if temporary is not None:
            os.rename(temporary, self.path)
            self.temporary = None

    def put(self, record: bytes) -> None:
        """Writes a whole record at `at` before the segment is published, so that the order of its bytes is all one."""
        if self.map is not None:
            self.map[self.at : self.at + len(record)] = record
        else:
            self.append(record)
        self.at += len(record)

    def append(self, data: bytes) -> None:
        """Writes `data` behind what is there, in one call.

        Raises:
            OSError: not all of it could be written; what was written is a torn tail, and the segment is spent.
        """
        written = os.write(self.fd, data)
        if written != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def mended(self, at: int) -> int:
        """Returns where the next record goes when a record at `at` may have been broken off.

        A record whose length is stored is published, whoever interrupted it: the next one goes behind it. Else what was
        stored of it is wiped, so that zeros follow the last record.

        Raises:
            OSError: a torn record was appended; the segment is spent.
        """
        memory = self.map
        if memory is None:
            written = os.fstat(self.fd).st_size
            if written % 8:
                raise OSError("a torn record")
            return written
        if at + 8 <= self.whole:
            length = U32.unpack_from(memory, at)[0]
            if length:
                return at + record_bytes(length - 4)
            end = min(self.whole, at + record_bytes(PAYLOAD_BYTES_MAX))
            memory[at:end] = bytes(end - at)
        return at

    def is_deleted(self) -> bool:
        """Whether the file has no name any more: what is written to it now reaches nobody."""
        try:
            found = os.fstat(self.fd)
        except OSError:
            return False  # Not to be known: the descriptor was closed by somebody else.
        # The same number may be another file's by now.
        return self.temporary is None and found.st_nlink == 0 and found.st_ino == self.inode

    def close(self, ended: int | None = None) -> None:
        """Unmaps and closes the file; one that was never published is removed.

        With `ended`, the offset behind the last record, what was reserved beyond it is given back (J2.9).
        """
        if self.map is not None and ended is not None and self.temporary is None:
            self.map.close()  # first: nothing may shorten a file that is mapped
            try:
                os.ftruncate(self.fd, ended)
            except OSError:
                pass  # It stays as long as it is: zeros at its end mean nothing (J2.4).
        self.detach()
        if self.temporary is not None:
            _unlink(self.temporary)
            self.temporary = None

    def detach(self) -> None:
        """Unmaps and closes the file but leaves its name alone: what a forked child does with its parent's segment."""
        if self.map is not None:
            self.map.close()
        fd, self.fd = self.fd, -1
        try:
            os.close(fd)
        except OSError:
            pass  # Closed by somebody else's clean-up loop; what was written is in the page cache already.


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # A left-over temporary file is ignored by every reader (J1.2).
