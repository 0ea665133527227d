"""Full and failing disks: training goes on, `kept + counted as lost = logged`, and recording resumes when it can.

Faults are played at every call by which the module reaches the disk; and they are had from real file systems, where the
machine lets a test mount some.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from journal_reader import read_run

import tracelet
import tracelet._appender
import tracelet._losses

# The calls by which segments, headers, records, blobs, locks and folders come to the disk.
SITES = ("mkdir", "open", "posix_fallocate", "write", "rename")
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENOENT, errno.EACCES)


def kept(folder: Path) -> tuple[dict[str, list[tuple[int, float]]], int]:
    """Returns the points by series and the count of all other events of a folder's one run."""
    points: dict[str, list[tuple[int, float]]] = {}
    others = 0
    for run in (folder / "runs").iterdir() if (folder / "runs").exists() else ():
        for view in read_run(run).values() if (run / "journal").exists() else ():
            assert view.damaged == 0
            for event in view.events:
                if event["kind"] == "point":
                    points.setdefault(event["name"], []).append((event["step"], event["value"]))
                elif event["kind"] not in ("runStarted", "runFinished"):
                    others += 1
    return points, others


def check_account(run: tracelet.Experiment, folder: Path, points: int, others: int = 0) -> None:
    """What is there and what was counted as lost are what was logged; each once and in order."""
    found, extra = kept(folder)
    for name, values in found.items():
        steps = [step for step, _ in values]
        assert steps == sorted(set(steps)), name
    ends = sum(len(view.payloads("runFinished")) for view in all_views(folder))
    lost = run.refused.get("lost", 0)
    # The end of the run is an event as well.
    assert sum(map(len, found.values())) + extra + ends + lost == points + others + 1
    assert set(run.refused) <= {"lost"}


def all_views(folder: Path) -> list[Any]:
    runs = [path for path in (folder / "runs").iterdir() if (path / "journal").exists()] if folder.exists() else []
    return [view for run in runs for view in read_run(run).values()]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between two looks at the disk."""
    monkeypatch.setattr(tracelet._losses, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(tracelet._appender, "LOOK_SECONDS", 0.0)


def test_a_segment_is_as_long_as_there_is_room_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """J2.8: a disk with room for 100 KiB at a time takes what a segment of 8 MiB would not fit."""
    monkeypatch.setenv("TRACELET_WRITER", "mmap")
    original = os.posix_fallocate
    asked: list[int] = []

    def fallocate(fd: int, offset: int, length: int) -> None:
        asked.append(length)
        if length > 100_000:
            raise OSError(errno.ENOSPC, "no space left on device")
        original(fd, offset, length)

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    run = tracelet.start_logging("small disk")
    for step in range(20_000):
        run.log_metric("loss", 0.5, step)
    tracelet.stop_logging()
    assert max(asked) > 100_000
    assert run.refused == {}
    check_account(run, folder, 20_000)


@pytest.mark.parametrize("error", [None, "it broke", "\x00" * 5000, "é" * 5000], ids=["none", "short", "NULs", "long"])
def test_how_a_run_ended_is_recorded_on_a_full_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: str | None
) -> None:
    """J2.8: a mapped segment keeps room for the end record, if need be with no more than the end of its error."""
    monkeypatch.setenv("TRACELET_WRITER", "mmap")
    original = os.posix_fallocate
    is_full = False

    def fallocate(fd: int, offset: int, length: int) -> None:
        if is_full:
            raise OSError(errno.ENOSPC, "no space left on device")
        original(fd, offset, length)

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    run = tracelet.start_logging("full")
    is_full = True
    for step in range(5_000):
        run.log_metric("loss", 0.5, step)
        # Something of every other length, so that hardly a byte is left.
        run.set_tags({"t" * (step % 50 + 1): ""})
    assert run.refused["lost"] > 0
    if error is None:
        tracelet.stop_logging(wait=False)
    else:
        run.__exit__(RuntimeError, RuntimeError(error), None)
    (view,) = all_views(folder)
    (end,) = view.payloads("runFinished")
    assert (end["status"], view.damaged) == ("finished" if error is None else "failed", 0)
    if error is not None:
        assert end["error"].endswith(error[-200:])
    (segment,) = (next((folder / "runs").iterdir()) / "journal").glob("*.tlj")
    assert segment.stat().st_size <= 65_536 + 4096


@pytest.mark.parametrize("writer", ["mmap", "write"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda number: errno.errorcode[number])
@pytest.mark.parametrize("site", SITES)
def test_a_fault_at_every_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: str, error: int, writer: str
) -> None:
    """The n-th call and some after it fail, for every n: the account holds, and what comes after them is recorded."""
    monkeypatch.setenv("TRACELET_WRITER", writer)
    chance = random.Random(f"{site} {error} {writer}")
    original: Callable[..., Any] = getattr(os, site)
    calls = 0
    failing = range(0)

    def faulty(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        if not any("tracelet" in str(part) or isinstance(part, int) for part in args[:1]):
            return original(*args, **kwargs)
        calls += 1
        if calls in failing:
            if site == "write" and chance.random() < 0.5:
                return original(args[0], bytes(args[1])[: len(args[1]) // 2])  # a part of it, as a full disk does
            raise OSError(error, os.strerror(error))
        return original(*args, **kwargs)

    monkeypatch.setattr(os, site, faulty)
    for number in range(1, 8 if site != "write" else 14):
        folder = tmp_path / f"tracelet-{number}"
        monkeypatch.setenv("TRACELET_DIR", str(folder))
        calls, failing = 0, range(number, number + chance.choice((1, 2, 5)))
        run = tracelet.start_logging("faults")
        logged = 4000 if writer == "mmap" else 60
        for step in range(logged):
            run.log_metric("loss", float(step), step)
            if step == 30:
                run.log_params({"large": "x" * 70_000})
        failing = range(0)
        for step in range(logged, logged + 10):
            run.log_metric("loss", float(step), step)
        tracelet.stop_logging(wait=False)
        check_account(run, folder, logged + 10, 1)
        assert [step for step, _ in kept(folder)[0]["loss"]][-10:] == list(range(logged, logged + 10))
        assert not list(folder.rglob("*.tmp"))


def test_flush_says_that_it_failed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tracelet.start_logging("flush")
    run.log_metric("loss", 1.0, 0)

    def fails(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as context:
        context.setattr(os, "fdatasync", fails)
        assert not run.flush()
    assert run.flush()
    tracelet.stop_logging(wait=False)
    check_account(run, folder, 1)


def delete(place: Path) -> None:
    """Deletes a folder, in which a segment may just be reserved: what comes in between is deleted as well."""
    for _ in range(20):
        try:
            shutil.rmtree(place)
            return
        except OSError:
            time.sleep(0.01)


@pytest.mark.parametrize("writer", ["mmap", "write"])
@pytest.mark.parametrize("what", ["folder", "run", "journal"])
def test_a_folder_deleted_mid_run(folder: Path, monkeypatch: pytest.MonkeyPatch, writer: str, what: str) -> None:
    """What was in it is counted as lost; a stream with a lock and a beginning of its own is recorded from then on."""
    monkeypatch.setenv("TRACELET_WRITER", writer)
    chance = random.Random(f"{writer} {what}")
    run = tracelet.start_logging("deleted", config={"tags": {"a": "b"}})
    logged = texts = 0
    for _ in range(3):
        for _ in range(chance.randrange(1, 6000)):
            run.log_metric("loss", float(logged), logged)
            run.log_metric("auto", 1.0)
            logged += 1
        run.log_text("note", "x")
        texts += 1
        place = folder / "runs" / run.id
        delete({"folder": folder, "run": place, "journal": place / "journal"}[what])
        for _ in range(3000 if writer == "mmap" else 10):
            run.log_metric("loss", float(logged), logged)
            logged += 1
        assert not run.flush()  # It looks, at the latest.
        assert run.flush()
    before = run.refused["lost"]
    for _ in range(100):
        run.log_metric("loss", float(logged), logged)
        run.log_metric("auto", 1.0)
        logged += 1
    assert run.refused == {"lost": before}
    tracelet.stop_logging(wait=False)
    points, _ = kept(folder)
    assert [step for step, _ in points["loss"]][-100:] == list(range(logged - 100, logged))
    autos = logged - (9000 if writer == "mmap" else 30)
    assert points["auto"][-1][0] == autos - 1  # steps go on where they were
    check_account(run, folder, logged + autos, texts)
    (view,) = all_views(folder)
    assert view.events[0]["kind"] == "runStarted"
    assert view.events[0]["payload"]["run"]["tags"] == {"a": "b"}
    assert list(folder.rglob("*.lock"))


def test_a_deleted_folder_that_cannot_be_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "place"
    monkeypatch.setenv("TRACELET_DIR", str(place / "folder"))
    run = tracelet.start_logging("vanished")
    for step in range(100):
        run.log_metric("loss", 1.0, step)
    shutil.rmtree(place)
    place.write_text("a file is in the way")
    assert not run.flush()
    for step in range(100, 200):
        run.log_metric("loss", 1.0, step)
    assert run.refused == {"lost": 200}
    place.unlink()
    for step in range(200, 300):
        run.log_metric("loss", 1.0, step)
    tracelet.stop_logging(wait=False)
    check_account(run, place / "folder", 300)
    assert len(kept(place / "folder")[0]["loss"]) == 100


def test_a_folder_that_is_moved_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACELET_DIR", str(tmp_path / "here"))
    run = tracelet.start_logging("moved")
    for step in range(100):
        run.log_metric("loss", 1.0, step)
    (tmp_path / "here").rename(tmp_path / "there")
    for step in range(100, 200):
        run.log_metric("loss", 1.0, step)
    tracelet.stop_logging(wait=False)
    assert run.refused == {}
    check_account(run, tmp_path / "there", 200)


@pytest.mark.parametrize("writer", ["mmap", "write"])
@pytest.mark.parametrize("moment", ["before the start", "while it runs"])
def test_no_descriptor_left(folder: Path, script: Any, writer: str, moment: str) -> None:
    """RLIMIT_NOFILE: nothing can be opened, not even a module of ours."""
    start = "run = tracelet.start_logging('files')\n"
    early, late = ("", start) if moment == "before the start" else (start, "")
    done = script.run(
        f"""
import os, resource, time, tracelet, tracelet._losses
tracelet._losses.RETRY_SECONDS = 0.0
tracelet.start_logging; import tracelet._experiment; tracelet._experiment.RETRY_SECONDS = 0.0
logged = 0
def log(count):
    global logged
    for _ in range(count):
        run.log_metric("loss", float(logged), logged); logged += 1
{early}
if {moment == "while it runs"}: log(50)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
taken = []
try:
    while True: taken.append(os.dup(0))
except OSError: pass
{late}
log(5000); run.log_params({{"large": "x" * 70000}}); run.flush()
for fd in taken: os.close(fd)
log(100)
tracelet.stop_logging(wait=False)
counts = run.refused
print(counts.pop("lost", 0), counts, logged)
""",
        TRACELET_WRITER=writer,
    )
    assert done.returncode == 0, done.stderr
    lost, refused, logged = done.stdout.split()
    assert (refused, logged) == ("{}", "5100" if moment == "before the start" else "5150")
    points, others = kept(folder)
    assert len(points["loss"]) + others + int(lost) == int(logged) + 1
    assert [step for step, _ in points["loss"]][-100:] == list(range(int(logged) - 100, int(logged)))


# Real file systems.


def allowed(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    except OSError:
        return False


class Disk:
    """An image file that is mounted."""

    def __init__(self, point: Path, image: Path) -> None:
        self.point = point
        self.image = image


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., Disk]]:
    """Makes and mounts small disks: `disk(kind, megabytes, options)`."""
    points: list[Path] = []

    def make(kind: str, megabytes: int, options: str = "", home: Path = tmp_path) -> Disk:
        point, image = tmp_path / f"{kind}-point", home / f"{kind}.image"
        point.mkdir()
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        if shutil.which(f"mkfs.{kind}") is None or not allowed(f"mkfs.{kind}", "-q", str(image)):
            pytest.skip(f"a disk of {kind} cannot be made here")
        if not allowed("mount", "-o", f"loop{options}", str(image), str(point)):
            pytest.skip(f"a disk of {kind} may not be mounted here")
        points.append(point)
        return Disk(point, image)

    yield make
    tracelet.stop_logging(wait=False)
    for point in reversed(points):
        allowed("umount", "-l", str(point))


# Fills the disk, logs into it, makes room, logs again; says how much was lost.
FILLER = """
import os, sys, time, tracelet, tracelet._losses
tracelet._losses.RETRY_SECONDS = 0.02
place = os.environ["PLACE"]
run = tracelet.start_logging("full")
logged = 0
def log(count):
    global logged
    for _ in range(count):
        run.log_metric("loss", float(logged), logged); logged += 1
log(500)
fd = os.open(os.path.join(place, "ballast"), os.O_CREAT | os.O_WRONLY)
size = 1 << 20
while size >= 1024:
    try:
        os.write(fd, bytes(size)); os.fsync(fd)
    except OSError: size //= 2
log(COUNT)
run.log_params({"large": "x" * 300_000})
assert run.refused.get("lost"), run.refused
os.close(fd); os.unlink(os.path.join(place, "ballast")); os.sync()
time.sleep(0.2)
log(200)
tracelet.stop_logging(wait=False)
counts = run.refused
print(counts.pop("lost"), counts, logged)
"""


@pytest.mark.parametrize(
    ("kind", "megabytes", "writer", "mapped"),
    [("ext4", 24, "", True), ("ext4", 24, "write", False), ("btrfs", 128, "", False)],
)
def test_a_disk_that_is_full(
    disk: Callable[..., Disk], script: Any, kind: str, megabytes: int, writer: str, mapped: bool
) -> None:
    """ENOSPC. On btrfs the `write` path is chosen: there a mapped write into reserved blocks ends in SIGBUS."""
    small = disk(kind, megabytes)
    folder = small.point / "folder"
    done = script.run(
        FILLER.replace("COUNT", "300_000" if mapped else "60_000"),
        TRACELET_DIR=str(folder),
        PLACE=str(small.point),
        TRACELET_WRITER=writer,
    )
    assert done.returncode == 0, done.stderr
    lost, refused, logged = done.stdout.split()
    assert refused == "{}"
    assert done.stderr.count("No space left") == 1
    points, others = kept(folder)
    assert len(points["loss"]) + others + int(lost) == int(logged) + 1
    assert [step for step, _ in points["loss"]][-200:] == list(range(int(logged) - 200, int(logged)))
    first = next(folder.rglob("*.0.tlj"))
    assert (first.stat().st_size == 64 << 10) == mapped  # an appended one is as long as what is in it


def test_a_quota_that_is_used_up(disk: Callable[..., Disk], script: Any) -> None:
    """EDQUOT, for a user who is not root: for root there is none."""
    small = disk("ext4", 24, ",usrquota")
    if shutil.which("setquota") is None or not (
        allowed("quotacheck", "-cum", str(small.point)) and allowed("quotaon", str(small.point))
    ):
        pytest.skip("a quota cannot be set here")
    try:
        if not allowed("setquota", "-u", "65534", "0", "2048", "0", "0", str(small.point)):
            pytest.skip("a quota cannot be set here")
        small.point.chmod(0o777)
        source = "import os\nos.setgid(65534); os.setuid(65534)\n" + FILLER.replace("COUNT", "300_000")
        # The module may lie where only root can read: it is imported before.
        early = "import tracelet, tracelet._api, tracelet._experiment, tracelet._agent, tracelet._delivery\n"
        done = script.run(
            early + "import tracelet._filesystem, tracelet._folder, tracelet._hooks.tensorboard\n" + source,
            TRACELET_DIR=str(small.point / "folder"),
            PLACE=str(small.point),
        )
        assert done.returncode == 0, done.stderr
        assert "quota exceeded" in done.stderr
        lost, refused, logged = done.stdout.split()
        points, others = kept(small.point / "folder")
        assert refused == "{}"
        assert len(points["loss"]) + others + int(lost) == int(logged) + 1
    finally:
        allowed("quotaoff", str(small.point))


@pytest.mark.parametrize("writer", ["write"])
def test_a_disk_that_fails(disk: Callable[..., Disk], tmp_path: Path, script: Any, writer: str) -> None:
    """EIO: the disk is an image on another disk, which is full. What the page cache took is not counted, `flush` says
    it; what no call would take is."""
    below = tmp_path / "below"
    below.mkdir()
    if not allowed("mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(below)):
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        small = disk("ext4", 64, ",errors=remount-ro", below)
        (below / "ballast").write_bytes(bytes(1 << 20))
        done = script.run(
            f"""
import os, time, tracelet
run = tracelet.start_logging("eio")
for step in range(2000): run.log_metric("loss", 1.0, step)
assert run.flush()
ballast = open({str(below / "filler")!r}, "wb", 0)
try:
    while True: ballast.write(bytes(1 << 12))
except OSError: pass
failed = 0
end = time.monotonic() + 10
while failed < 3 and time.monotonic() < end:
    for step in range(2000, 4000): run.log_metric("loss", 1.0)
    run.log_params({{"large": os.urandom(100_000).hex()}})
    failed += not run.flush()
assert failed, "no fault was seen"
tracelet.stop_logging(wait=False)
print(run.refused)
""",
            TRACELET_DIR=str(small.point / "folder"),
            TRACELET_WRITER=writer,
        )
        assert done.returncode == 0, done.stderr
        assert "flush failed" in done.stderr
    finally:
        allowed("umount", "-l", str(tmp_path / "ext4-point"))
        allowed("umount", "-l", str(below))


def test_a_disk_that_becomes_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EROFS in the middle of a run, and back: a bind mount that is made read-only, as a container's volume can be."""
    point = tmp_path / "volume"
    point.mkdir()
    if not allowed("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(point)):
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        monkeypatch.setenv("TRACELET_DIR", str(point / "folder"))
        run = tracelet.start_logging("read-only")
        logged = 0
        for writable in (True, False, True):
            # Files that are open for writing forbid it to the file system, not to the mount.
            command = "rw" if writable else "ro"
            assert allowed("mount", "--bind", str(point), str(point)) or logged
            assert allowed("mount", "-o", f"remount,bind,{command}", str(point))
            for _ in range(40_000):
                run.log_metric("loss", float(logged), logged)
                logged += 1
        tracelet.stop_logging(wait=False)
        check_account(run, point / "folder", logged)
        assert kept(point / "folder")[0]["loss"][-1][0] == logged - 1
    finally:
        while allowed("umount", "-l", str(point)):
            pass
