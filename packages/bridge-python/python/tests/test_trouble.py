"""No folder, no room, nothing to deliver with: training goes on, and what cannot be kept is counted and said."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journal_reader import only_run, primary

import tracelet
import tracelet._losses
import tracelet._stream
from tracelet._filesystem import file_system_of
from tracelet._folder import find_folder


def messages(caplog: pytest.LogCaptureFixture, part: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if part in record.getMessage()]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    point = tmp_path / "small"
    point.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(point)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    yield point
    tracelet.stop_logging(wait=False)
    subprocess.run(["umount", "-l", str(point)], check=True)


@pytest.mark.parametrize("writer", ["mmap", "write"])
def test_full_disk(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, writer: str
) -> None:
    """Points are counted as lost, said once, and recording goes on when there is room again."""
    monkeypatch.setenv("TRACELET_DIR", str(small_disk / "folder"))
    monkeypatch.setenv("TRACELET_WRITER", writer)
    monkeypatch.setattr(tracelet._losses, "RETRY_SECONDS", 0.05)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (100 << 10))
    run = tracelet.start_logging("full")
    for step in range(20_000):
        run.log_metric("loss", float(step), step)
    lost = run.refused["lost"]
    assert 0 < lost < 20_000
    assert len(messages(caplog, "No space left")) == 1
    assert [run.flush(), run.flush()] == [False, False]
    ballast.unlink()
    time.sleep(0.06)
    for step in range(20_000, 20_100):
        run.log_metric("loss", float(step), step)
    assert [run.flush(), run.flush()] == [False, True]  # some of what the first one speaks of is lost
    assert len(messages(caplog, f"flush: {lost} of what was logged are lost")) == 1
    assert run.refused == {"lost": lost}
    assert len(messages(caplog, "can be written again")) == 1
    tracelet.stop_logging()
    view = primary(only_run(small_disk / "folder"))
    steps = [step for step, _ in view.points("loss")]
    assert steps == [*range(20_000 - lost), *range(20_000, 20_100)]
    assert view.payloads("runFinished")[0]["status"] == "finished"
    assert view.gap_bytes <= 64
    assert messages(caplog, f"{lost} values refused")


def test_full_disk_from_the_start(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACELET_DIR", str(small_disk / "folder"))
    monkeypatch.setattr(tracelet._losses, "RETRY_SECONDS", 0.01)
    (small_disk / "ballast").write_bytes(b"x" * (252 << 10))
    run = tracelet.start_logging("full")
    run.log_metric("loss", 1.0, 0)
    (small_disk / "ballast").unlink()
    time.sleep(0.02)
    run.log_metric("loss", 2.0, 1)
    tracelet.stop_logging()
    view = primary(only_run(small_disk / "folder"))
    assert view.payloads("runStarted")  # still the first record
    assert view.events[0]["kind"] == "runStarted"
    assert view.points() == [(1, 2.0)]
    assert run.refused == {"lost": 1}


def test_pace_of_asking_again(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is asked once a second, however much is logged."""
    monkeypatch.setenv("TRACELET_DIR", str(small_disk / "folder"))
    (small_disk / "ballast").write_bytes(b"x" * (252 << 10))
    asked = 0
    original = tracelet._stream.Stream.advance

    def advance(*args: Any) -> Any:
        nonlocal asked
        asked += 1
        return original(*args)

    monkeypatch.setattr(tracelet._stream.Stream, "advance", advance)
    run = tracelet.start_logging("full")
    began = time.monotonic()
    for step in range(5000):
        run.log_metric("loss", 1.0, step)
    assert asked <= 2 + (time.monotonic() - began)


@pytest.mark.parametrize("place", ["/proc/tracelet", "/dev/null/tracelet", "x" * 300])
def test_no_folder(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, place: str) -> None:
    monkeypatch.setenv("TRACELET_DIR", place)
    run = tracelet.start_logging("nowhere")
    for step in range(100):
        run.log_metric("loss", 1.0, step)
        run.log({"loss": 1.0}, step, {"a": 1})
    run.log_params({"a": 1})
    run.set_tags(["x"])
    run.log_text("a", "b")
    run.flush()
    tracelet.stop_logging()
    assert run.refused == {"lost": 203}
    assert len(messages(caplog, "the journal cannot be written")) == 1
    assert len(messages(caplog, "203 values refused")) == 1


@pytest.mark.parametrize("place", ["link", "link/folder", "/proc/a/b", "/proc/self/a", "/proc/sys/a/b"])
def test_a_folder_that_cannot_be_made_costs_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    """A dangling link exists and holds nothing; /proc says ENOENT for what may not be made in it."""
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "at all")
    monkeypatch.setenv("TRACELET_DIR", str(tmp_path / place))
    asked = 0
    original = os.mkdir

    def mkdir(*args: Any, **kwargs: Any) -> None:
        nonlocal asked
        asked += 1
        original(*args, **kwargs)

    monkeypatch.setattr(os, "mkdir", mkdir)
    began = time.monotonic()
    run = tracelet.start_logging("nowhere")
    for step in range(1000):
        run.log_metric("loss", 1.0, step)
    tries = 2 + (time.monotonic() - began)
    tracelet.stop_logging()
    assert asked <= 10 * tries
    assert run.refused == {"lost": 1000}
    assert len(messages(caplog, "1000 values refused: 1000 lost")) == 1


def test_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere: for root a file system that is mounted read-only."""
    place = tmp_path / "locked"
    place.mkdir()
    is_root = os.geteuid() == 0
    if is_root:
        command = ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a tmpfs is not allowed here")
    else:
        place.chmod(0o500)
    try:
        monkeypatch.setenv("TRACELET_DIR", str(place / "folder"))
        run = tracelet.start_logging("read-only")
        assert not run.flush()
        run.log_metric("loss", 1.0, 0)
        assert [run.flush(), run.flush()] == [False, False]
        tracelet.stop_logging()
        assert run.refused == {"lost": 1}  # the point; neither the start nor the end of the run is a value
    finally:
        if is_root:
            subprocess.run(["umount", "-l", str(place)], check=True)


def test_the_working_directory_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.delenv("TRACELET_DIR")
    gone.rmdir()
    run = tracelet.start_logging("gone")
    run.log_metric("loss", 1.0, 0)
    tracelet.stop_logging()
    assert run.refused["lost"] >= 1
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("how", ["variable", "backend"])
def test_disabled_does_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str) -> None:
    if how == "variable":
        monkeypatch.setenv("TRACELET_DISABLED", "1")
    monkeypatch.delenv("TRACELET_DIR")
    hooks = (sys.excepthook, sys.exit, list(sys.meta_path))
    with tracelet.start_logging("off", backend=None if how == "variable" else "none") as run:
        run.log_metric("loss", 1.0, 0)
        run.log_metric("loss", "no")
        run.log({"loss": 1.0}, 0, {"a": 1})
        run.log_params({"a": 1})
        run.set_tags(["x"])
        run.log_text("a", "b")
        run.set_iteration(5)
        assert run.flush()
        assert (run.iteration, run.refused, run.folder) == (5, {}, "")
        assert hooks == (sys.excepthook, sys.exit, list(sys.meta_path))
        assert tracelet.get_active_experiment() is None
    tracelet.stop_logging()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_not_disabled(folder: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TRACELET_DISABLED", value)
    tracelet.start_logging("on")
    assert folder.is_dir()


def test_logging_outside_of_a_run(folder: Path) -> None:
    run = tracelet.Experiment("early")
    run.log_metric("loss", 1.0, 0)
    run.log_params({"a": 1})
    assert run.refused == {"inactive": 2}
    run.start()
    run.log_metric("loss", 2.0, 1)
    run.stop()
    run.stop()
    run.end()
    run.start()
    run.log_metric("loss", 3.0, 2)
    assert run.refused == {"inactive": 3}
    assert primary(only_run(folder)).points() == [(1, 2.0)]


def test_a_bound_log_metric_outlives_the_run(folder: Path) -> None:
    run = tracelet.start_logging("bound")
    log = run.log_metric
    tracelet.stop_logging()
    log("loss", 1.0, 0)
    log("loss", 1, 0)
    assert run.refused == {"inactive": 2}


def test_folder_resolution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """J1.3"""
    deep = tmp_path / "repo" / "sub" / "deep"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    monkeypatch.setenv("TRACELET_DIR", "relative")
    assert find_folder() == str(deep / "relative")
    monkeypatch.delenv("TRACELET_DIR")
    assert find_folder() == str(deep / ".tracelet")
    (tmp_path / "repo" / ".git").write_text("gitdir: elsewhere")
    assert find_folder() == str(tmp_path / "repo" / ".tracelet")
    (tmp_path / ".tracelet").mkdir()
    assert find_folder() == str(tmp_path / ".tracelet")
    (tmp_path / "repo" / "sub" / ".tracelet").mkdir()
    assert find_folder() == str(tmp_path / "repo" / "sub" / ".tracelet")


def test_folder_is_resolved_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACELET_DIR", "here")
    run = tracelet.start_logging("moves")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for step in range(5000):
        run.log_metric("loss", 1.0, step)
    assert run.flush()
    tracelet.stop_logging()
    assert len(primary(only_run(tmp_path / "here")).points()) == 5000
    assert list((tmp_path / "elsewhere").iterdir()) == []


TABLE = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /dev/shm rw - tmpfs tmpfs rw
31 22 0:27 / /mnt/with\\040space rw - nfs4 server:/x rw
32 22 0:28 / /mnt rw - btrfs /dev/vdb rw
33 22 0:29 / /over rw - overlay overlay rw
34 22 0:30 / /over rw - xfs /dev/vdc rw
35 22 0:31 / /fuse rw - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/x", ("ext4", True, True)),
        ("/dev/shm/a/b", ("tmpfs", True, True)),
        ("/dev/shmx", ("ext4", True, True)),
        ("/mnt/with space/a", ("nfs4", False, False)),
        ("/mnt/a", ("btrfs", False, True)),
        ("/over/a", ("xfs", True, True)),
        ("/fuse", ("fuse.sshfs", False, False)),
    ],
)
def test_file_systems(tmp_path: Path, path: str, expected: tuple[str, bool, bool]) -> None:
    """J8.4, J9.2: by the mount table; of two mounts on one point the later."""
    (tmp_path / "table").write_text(TABLE)
    system = file_system_of(path, str(tmp_path / "table"))
    assert (system.type, system.is_mapped, system.is_local) == expected
    unknown = file_system_of(path, str(tmp_path / "none"))
    assert (unknown.type, unknown.is_mapped, unknown.is_local) == ("", False, False)


def test_heartbeats_where_locks_cannot_be_trusted(folder: Path) -> None:
    """J5.7: so that a reader that cannot trust a lock sees life."""
    from tracelet._heartbeat import start_heartbeat

    run = tracelet.start_logging("heart")
    assert run._writer is not None
    start_heartbeat(run._writer, 0.01)
    time.sleep(0.1)
    tracelet.stop_logging()
    assert len(primary(only_run(folder)).payloads("heartbeat")) >= 2


def test_a_logging_handler_that_fails_reaches_nobody(folder: Path) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("no")

    handler = Broken()
    logging.getLogger("tracelet").addHandler(handler)
    try:
        run = tracelet.start_logging("handler")
        run.log_metric("loss", "no")
    finally:
        logging.getLogger("tracelet").removeHandler(handler)
