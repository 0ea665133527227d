"""The writer's lock (docs/spec/journal.md §8), as SQLite's `BEGIN IMMEDIATE` sees it from another process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from journal_reader import only_run

import tracelet
import tracelet._segment
import tracelet._stream
from tracelet._lock import take_lock

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="open-file-description locks are Linux's")

PROBE = """
import sqlite3, sys
base = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    base.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print("held" if "locked" in str(error) else error)
else:
    base.execute("ROLLBACK")
    print("free")
"""


def probe(path: Path) -> str:
    """J8.3, from a process of its own: closing the file must not cost this one its lock."""
    done = subprocess.run([sys.executable, "-c", PROBE, str(path)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def lock_of(folder: Path) -> Path:
    (path,) = (only_run(folder) / "journal").glob("*.lock")
    return path


def test_held_while_the_writer_lives_and_free_after(folder: Path) -> None:
    """J8.1, J8.3, J8.4"""
    tracelet.start_logging("lock")
    path = lock_of(folder)
    assert probe(path) == "held"
    assert probe(path) == "held"
    tracelet.stop_logging()
    assert probe(path) == "free"
    assert path.stat().st_size == 0


def test_survives_a_copy_of_its_own_folder(folder: Path, tmp_path: Path) -> None:
    """A POSIX lock is lost when its process opens and closes the file."""
    tracelet.start_logging("copy")
    shutil.copytree(folder, tmp_path / "copy")
    assert probe(lock_of(folder)) == "held"
    assert probe(lock_of(tmp_path / "copy")) == "free"


def test_free_after_sigkill_though_a_forked_child_lives(folder: Path, script: Any) -> None:
    """J8.2: closed in forked children."""
    process = script.start(
        """
import os, sys, time, tracelet
run = tracelet.start_logging("fork")
pid = os.fork()
if pid == 0:
    time.sleep(30)
    os._exit(0)
print(pid, flush=True)
time.sleep(30)
"""
    )
    child = int(process.stdout.readline())
    try:
        path = lock_of(folder)
        assert probe(path) == "held"
        process.kill()
        process.wait()
        assert probe(path) == "free"
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()


def test_a_child_that_logs_holds_a_lock_of_its_own(folder: Path, script: Any) -> None:
    process = script.start(
        """
import os, sys, time, tracelet
run = tracelet.start_logging("fork")
pid = os.fork()
if pid == 0:
    run.log_metric("child", 1.0, 0)
    print(os.getpid(), flush=True)
    time.sleep(30)
    os._exit(0)
time.sleep(30)
"""
    )
    child = int(process.stdout.readline())
    try:
        locks = sorted((only_run(folder) / "journal").glob("*.lock"))
        assert [probe(path) for path in locks] == ["held", "held"]
        process.kill()
        process.wait()
        assert sorted(probe(path) for path in locks) == ["free", "held"]
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()


def test_leaves_nothing_behind_when_it_cannot_be_taken(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        take_lock(str(tmp_path / "missing" / "w.lock"))
    (tmp_path / "w.lock").mkdir()
    (tmp_path / "w.lock" / "x").touch()
    with pytest.raises(OSError, match=r"w\.lock"):
        take_lock(str(tmp_path / "w.lock"))
    assert not list(tmp_path.glob("*.tmp"))


def test_no_segment_is_there_before_its_lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """J8.6: a segment without a lock file is that of a writer which is over."""
    locks: list[list[str]] = []
    reserve = tracelet._segment.Segment.reserve

    def look_first(journal: str, *others: Any) -> Any:
        locks.append([probe(path) for path in Path(journal).glob("*.lock")])
        return reserve(journal, *others)

    monkeypatch.setattr(tracelet._segment.Segment, "reserve", look_first)
    tracelet.start_logging("order")
    assert locks[0] == ["held"]

    def refuse(*args: object) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr(tracelet._stream, "take_lock", refuse)
    run = tracelet.start_logging("no lock")
    run.log_metric("loss", 1.0, 0)
    tracelet.stop_logging()
    assert run.refused == {"lost": 1}
    assert list((folder / "runs" / run.id / "journal").iterdir()) == []
