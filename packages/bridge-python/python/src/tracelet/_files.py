"""Files of a user's, found and copied into a run's blobs (docs/spec/journal.md J6.3, J6.4).

Nothing here trusts what it finds: a folder may hold pipes, links to anywhere, files that go or change while they are
read, and more than anybody wants to keep.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from ._blob import is_kept
from ._folder import make_private

# J5.15
FILES_MAX = 100_000
PATH_BYTES_MAX = 4_096
_PIECE_BYTES = 1 << 20


class NotKept(ValueError):
    """A file cannot be kept; the message says why."""


class Kept(NamedTuple):
    """A copy: its SHA-256 in hexadecimal digits, its bytes, and whether the source was written meanwhile."""

    sha256: str
    bytes: int
    is_changed: bool


class Found(NamedTuple):
    """A file by where it lies in its folder (of a single file, its name), and where it is read."""

    path: str
    source: str


def path_problem(path: str) -> str | None:
    """Returns why a path inside an artifact is refused (J5.15), or None."""
    try:
        size = len(path.encode("utf-8"))
    except UnicodeEncodeError:
        return "a path must be UTF-8"
    if size > PATH_BYTES_MAX:
        return f"a path must not exceed {PATH_BYTES_MAX} bytes"
    if "\\" in path or any(ord(each) < 0x20 or ord(each) == 0x7F for each in path):
        return "a path must hold no backslash and no control character"
    if any(part in ("", ".", "..") for part in path.split("/")):
        return 'a path must be relative, without empty parts, "." and ".."'
    return None


def find(path: str) -> tuple[list[Found], list[tuple[str, str]]]:
    """Returns the file that `path` names or, of a folder, the files below it, and what is left out, with the reasons.

    Raises:
        OSError: it is not there, or cannot be read.
        NotKept: it is neither.
    """
    root = os.path.realpath(path)
    mode = os.stat(root).st_mode
    if stat.S_ISREG(mode):
        return [Found(os.path.basename(os.path.abspath(path)), root)], []
    if not stat.S_ISDIR(mode):
        raise NotKept("it is no plain file")
    found: list[Found] = []
    left: list[tuple[str, str]] = []
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            if folder == root:
                raise
            left.append((_inside(root, folder), "the folder cannot be read"))
            continue
        for entry in entries:
            where = _inside(root, entry.path)
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.is_symlink() and not _leads_to_file_in(root, entry.path):
                left.append((where, "the link leads to no file of the same folder"))
            elif not entry.is_symlink() and not entry.is_file(follow_symlinks=False):
                left.append((where, "it is no plain file"))
            elif len(found) >= FILES_MAX:
                left.append((where, f"an artifact has at most {FILES_MAX} files"))
            else:
                found.append(Found(where, entry.path))
    return sorted(found), sorted(left)


def _inside(root: str, path: str) -> str:
    return os.path.relpath(path, root).replace(os.sep, "/")


def _leads_to_file_in(root: str, link: str) -> bool:
    try:
        target = os.path.realpath(link)
        return os.path.commonpath((root, target)) == root and stat.S_ISREG(os.stat(target).st_mode)
    except (OSError, ValueError):
        return False


def keep_file(source: str, blobs: str, bytes_max: int) -> Kept:
    """Copies a file into `blobs` under the SHA-256 of the copy, synced; never in memory whole.

    By reference where the file system can (btrfs, xfs).

    Raises:
        OSError: it cannot be read, or the copy cannot be written.
        NotKept: it is no plain file, or has more than `bytes_max` bytes.
    """
    make_private(blobs)
    # A pipe that nobody writes to is opened at once so, and refused.
    fd = os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(fd, "rb", buffering=0) as reading:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise NotKept("it is no plain file")
        if before.st_size > bytes_max:
            raise NotKept(f"it has more than {bytes_max} bytes")
        temporary = os.path.join(blobs, f"{os.getpid()}-{os.urandom(4).hex()}.tmp")
        try:
            digest, size = _copy(reading.fileno(), temporary, before.st_size)
            path = os.path.join(blobs, digest)
            if not is_kept(path, size):
                os.replace(temporary, path)
        finally:
            try:
                os.unlink(temporary)
            except OSError:
                pass  # Renamed, or never made.
        after = os.fstat(fd)
    is_changed = size != before.st_size or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns)
    return Kept(digest, size, is_changed)


def keep_bytes(content: bytes, blobs: str) -> Kept:
    """Keeps bytes the same way."""
    from ._blob import write_blob

    digest = write_blob(blobs, content)
    _sync(os.path.join(blobs, digest))
    return Kept(digest, len(content), False)


def sync_folder(folder: str) -> None:
    """Brings the names in a folder to the disk."""
    if os.name == "posix":
        _sync(folder)


def _sync(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _copy(source: int, temporary: str, size: int) -> tuple[str, int]:
    """Copies `size` bytes, or as many as there are; returns the SHA-256 and the length of what was written."""
    import hashlib

    digest = hashlib.sha256()
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(temporary, flags, 0o600), "w+b", buffering=0) as copy:
        is_cloned = _clone(source, copy.fileno())
        done = 0
        # What is appended meanwhile is not waited for: a log may grow as fast as it is read.
        while is_cloned or done < size:
            piece = (
                os.read(copy.fileno(), _PIECE_BYTES) if is_cloned else os.read(source, min(_PIECE_BYTES, size - done))
            )
            if not piece:
                break
            digest.update(piece)
            done += len(piece)
            left = memoryview(b"" if is_cloned else piece)
            while left:
                left = left[os.write(copy.fileno(), left) :]
        os.fsync(copy.fileno())
    return digest.hexdigest(), done


def _clone(source: int, target: int) -> bool:
    try:
        import fcntl

        fcntl.ioctl(target, 0x40049409, source)  # FICLONE of linux/fs.h
    except (ImportError, OSError):
        return False
    return True
