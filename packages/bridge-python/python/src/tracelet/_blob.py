"""Payloads that do not fit a record (docs/spec/journal.md §6)."""

from __future__ import annotations

import os

from ._folder import make_private


def is_kept(path: str, length: int) -> bool:
    """Whether a blob is there. One of another length is what a power cut left of it (J6.3)."""
    try:
        return os.stat(path).st_size == length
    except OSError:
        return False


def write_blob(folder: str, payload: bytes) -> str:
    """Keeps `payload` in `folder` (made if need be) under its SHA-256, 64 hexadecimal digits, which are returned.

    Written under a temporary name and renamed, so that a blob that can be seen is whole (J6.2). A blob that is already
    there is left alone. The caller syncs file and folder when it flushes.

    Raises:
        OSError: the blob cannot be written.
    """
    import hashlib

    digest = hashlib.sha256(payload).hexdigest()
    path = os.path.join(folder, digest)
    if is_kept(path, len(payload)):
        return digest
    make_private(folder)
    temporary = f"{path}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        try:
            left = memoryview(payload)
            while left:
                left = left[os.write(fd, left) :]
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass  # Already renamed, or the folder is gone.
        raise
    return digest
