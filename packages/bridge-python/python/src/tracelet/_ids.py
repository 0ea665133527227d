"""Names of runs and writers, and who this process is (docs/spec/journal.md J1.1, J2.2)."""

from __future__ import annotations

import os
import re

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def is_id(text: str) -> bool:
    """Tells whether `text` may name a run, a writer or a backend (J1.1)."""
    return _ID.fullmatch(text) is not None


def new_run_id() -> str:
    """Returns 32 random lower-case hexadecimal digits."""
    return os.urandom(16).hex()


def new_writer_id() -> str:
    """Returns 16 random lower-case hexadecimal digits."""
    return os.urandom(8).hex()


def new_salt() -> int:
    """Returns a random unsigned 32-bit number."""
    return int.from_bytes(os.urandom(4), "little")


def host_name() -> str:
    """Returns this host's name, at most 255 characters; `unknown` where the system tells none."""
    uname = getattr(os, "uname", None)
    name = str(uname().nodename) if uname is not None else os.environ.get("COMPUTERNAME", "")
    return name[:255] or "unknown"


def boot_id() -> str:
    """Returns a text that names this boot of this host; `""` where none is to be had."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


class Identity:
    """Who writes a stream: the fields of a segment's identity object, all of them texts but `pid`."""

    __slots__ = ("boot", "host", "of", "pid", "resumes", "run", "writer")

    def __init__(
        self, run: str, writer: str, host: str, boot: str, pid: int, of: str | None = None, resumes: bool = False
    ) -> None:
        self.run = run
        self.writer = writer
        self.host = host
        self.boot = boot
        self.pid = pid
        self.of = of
        self.resumes = resumes

    @classmethod
    def here(cls, run: str, of: str | None = None, resumes: bool = False) -> Identity:
        """Returns a new writer's identity in this process; `of` names the writer that a child was forked from, and
        `resumes` says that others have ended the run before (J10.3)."""
        return cls(run, new_writer_id(), host_name(), boot_id(), os.getpid(), of, resumes)

    def fields(self) -> dict[str, str | int]:
        """Returns the object that a segment's header holds."""
        fields: dict[str, str | int] = {
            "run": self.run,
            "writer": self.writer,
            "host": self.host,
            "boot": self.boot,
            "pid": self.pid,
        }
        if self.of is not None:
            fields["of"] = self.of
        if self.resumes:
            fields["resumes"] = True
        return fields
