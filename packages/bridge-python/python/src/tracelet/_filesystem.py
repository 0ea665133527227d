"""What kind of file system a folder lies on, and what may therefore be relied on there (J8.4, J9.2).

Read from the mount table. Nothing is guessed from how a call behaves: on btrfs a mapped write into a reserved block can
still find the disk full, and that kills the process.
"""

from __future__ import annotations

import os

# J9.2: where mapped writes into reserved blocks were proven safe.
MAPPED_TYPES = frozenset({"ext4", "xfs", "tmpfs"})
# Where an open-file-description lock is seen by every process that can see the file (J8.4).
LOCAL_TYPES = MAPPED_TYPES | {
    "bcachefs", "btrfs", "exfat", "ext2", "ext3", "f2fs", "jfs", "ntfs3", "overlay", "ramfs", "reiserfs", "vfat", "zfs",
}  # fmt: skip


class FileSystem:
    """A file system's type as the mount table names it (`""` when unknown), and whether its locks can be trusted."""

    __slots__ = ("is_local", "is_mapped", "type")

    def __init__(self, type: str) -> None:
        self.type = type
        self.is_mapped = type in MAPPED_TYPES
        self.is_local = type in LOCAL_TYPES


def file_system_of(path: str, table: str = "/proc/self/mountinfo") -> FileSystem:
    """Returns the file system that holds `path`, or would hold it once it is made.

    `table` is a file in the format of proc(5) mountinfo; without one the type is unknown.
    """
    try:
        with open(table, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.readlines()
    except OSError:
        return FileSystem("")
    best: str | None = None
    best_bytes = -1
    where = os.path.realpath(path)
    for line in lines:
        # "36 35 98:0 /root /mount/point options shared:1 - ext4 /dev/sda rw"
        left, separator, right = line.partition(" - ")
        fields = left.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = _unescape(fields[4])
        covers = where == point or where.startswith(point.rstrip("/") + "/")
        # Of two mounts on one point the later line is the one that is seen.
        if covers and len(point) >= best_bytes:
            best, best_bytes = right.split(" ", 1)[0], len(point)
    return FileSystem(best or "")


def _unescape(text: str) -> str:
    """Undoes the octal escapes of the mount table (space, tab, newline, backslash)."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
