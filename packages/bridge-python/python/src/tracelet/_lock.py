"""The lock that says a writer lives (docs/spec/journal.md §8).

It belongs to the open file description: the kernel drops it when the process dies, however it dies. Nothing here opens
an existing `*.lock` file, since some file systems drop a lock when its process opens and closes the file again.
"""

from __future__ import annotations

import os
import struct
import sys

# SQLite's reserved byte: what `BEGIN IMMEDIATE` wants to lock (J8.1).
LOCK_BYTE = 0x40000001


class Lock:
    """A lock held until `close`, or until the process ends."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd: int | None = fd

    def close(self) -> None:
        """Gives the lock up. In a forked child this only drops the child's copy: the parent still holds it."""
        fd, self._fd = self._fd, None
        if fd is not None:
            try:
                os.close(fd)
            except OSError:
                pass  # Somebody closed our descriptor (a daemon's clean-up loop): the lock is gone all the same.


def take_lock(path: str) -> Lock:
    """Makes the empty file `path` and holds its lock; taken under a temporary name, so nobody can be probing it (J8.2).

    Raises:
        OSError: the file cannot be made, or this file system knows no locks.
    """
    temporary = path + ".tmp"
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        _lock_byte(fd)
        os.rename(temporary, path)
    except BaseException:
        os.close(fd)
        try:
            os.unlink(temporary)
        except OSError:
            pass  # It was renamed, or the folder is gone: nothing is left to remove.
        raise
    return Lock(fd)


def _lock_byte(fd: int) -> None:
    if sys.platform == "win32":
        return  # No such lock there: a writer on Windows is known by its heartbeat alone.
    import fcntl

    command = getattr(fcntl, "F_OFD_SETLK", None)
    if command is None or not sys.platform.startswith("linux"):
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, LOCK_BYTE, os.SEEK_SET)
        return
    # struct flock: type, whence, (padding), start, length, pid (0 for this kind of lock).
    fcntl.fcntl(fd, command, struct.pack("@hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, LOCK_BYTE, 1, 0))
