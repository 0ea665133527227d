"""What a point survives: SIGKILL, signal handlers that log, exceptions half-way, threads, forks."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from journal_reader import only_run, primary, read_run

import tracelet

TRAINER = """
import sys, tracelet
run = tracelet.start_logging("killed")
print("ready", flush=True)
step = 0
while True:
    run.log_metric("loss", step / 8, step)
    if step % 1000 == 7:
        run.log_params({"step": step})
    sys.stdout.write(f"{step}\\n")     # acknowledged: log has returned
    if step % 50 == 0:
        sys.stdout.flush()
    step += 1
"""


@pytest.mark.parametrize("writer", ["mmap", "write"])
def test_every_acknowledged_point_survives_sigkill(tmp_path: Path, script: Any, writer: str) -> None:
    """J9.1: at 20 random moments (10 for each way of writing), once and in order."""
    chance = random.Random(4711)
    for attempt in range(10):
        folder = tmp_path / f"{writer}-{attempt}"
        process = script.start(TRAINER, TRACELET_DIR=str(folder), TRACELET_WRITER=writer)
        assert process.stdout.readline() == "ready\n"
        killer = threading.Timer(chance.uniform(0.01, 0.25), process.kill)
        killer.start()
        lines = process.stdout.read().split("\n")
        process.communicate()
        acknowledged = [int(line) for line in lines[:-1]]  # what follows the last newline may be half a number
        view = primary(only_run(folder))
        points = view.points("loss")
        assert points == [(step, step / 8) for step in range(len(points))]
        assert len(points) >= len(acknowledged) > 0
        assert (view.damaged, view.unknown) == (0, 0)
        assert view.gap_bytes <= 64  # at most the record that was being written
        assert view.payloads("runFinished") == []


def test_a_signal_handler_may_log(folder: Path) -> None:
    """A record that re-enters another is queued, and nothing is lost or torn."""
    run = tracelet.start_logging("signals")
    seen = 0

    def handler(number: int, frame: object) -> None:
        nonlocal seen
        run.log_metric("signal", float(seen), seen)
        run.log({"context": 1}, context={"from": "handler"})
        run.log_params({"seen": seen})
        run.log_text("note", "handler")
        seen += 1

    before = signal.signal(signal.SIGALRM, handler)
    asked = 0
    try:
        step, end = 0, time.monotonic() + 1.0
        while time.monotonic() < end:
            if asked == seen:  # one at a time: on a busy machine handlers would nest without end
                asked += 1
                signal.setitimer(signal.ITIMER_REAL, 0.0002)
            run.log_metric("loss", float(step), step)
            step += 1
        while seen < asked:
            time.sleep(0.001)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    tracelet.stop_logging()
    view = primary(only_run(folder))
    assert seen > 100
    assert view.points("loss") == [(n, float(n)) for n in range(step)]
    assert view.points("signal") == [(n, float(n)) for n in range(seen)]
    assert len(view.points("context")) == len(view.payloads("params")) == len(view.payloads("text")) == seen
    assert (view.gap_bytes, view.damaged, run.refused) == (0, 0, {})


@pytest.mark.parametrize("writer", ["mmap", "write"])
def test_an_exception_half_way_leaves_no_trace(folder: Path, monkeypatch: pytest.MonkeyPatch, writer: str) -> None:
    """J3.4: a KeyboardInterrupt at any instruction; the record is there or it is not, and other threads can go on."""
    monkeypatch.setenv("TRACELET_WRITER", writer)
    run = tracelet.start_logging("interrupts")

    class Interrupt(BaseException):
        pass

    is_armed = False

    def handler(number: int, frame: object) -> None:
        nonlocal is_armed
        signal.setitimer(signal.ITIMER_REAL, 0.0007)
        if is_armed:
            is_armed = False  # once: a busy machine may be late with what follows
            raise Interrupt

    before = signal.signal(signal.SIGALRM, handler)
    returned: list[int] = []
    interrupted = 0
    step = 0
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0007)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            try:
                is_armed = True
                run.log_metric("loss", float(step), step)
                is_armed = False
                returned.append(step)
            except Interrupt:
                is_armed = False
                interrupted += 1
            if step % 97 == 0:
                try:
                    is_armed = True
                    run.log_params({"step": step})
                    is_armed = False
                except Interrupt:
                    is_armed = False
                    interrupted += 1
            step += 1
    finally:
        is_armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    other = threading.Thread(target=run.log_metric, args=("other", 1.0, 1), daemon=True)
    other.start()
    other.join(5)
    assert not other.is_alive(), "the lock was not given back"
    tracelet.stop_logging()
    view = primary(only_run(folder))
    assert interrupted > 50
    steps = [step for step, _ in view.points("loss")]
    assert steps == sorted(set(steps))
    assert set(returned) <= set(steps)
    assert (view.gap_bytes, view.damaged) == (0, 0)
    assert view.points("other") == [(1, 1.0)]


def test_twenty_threads(folder: Path) -> None:
    run = tracelet.start_logging("threads")
    each = 3000

    def work(thread: int) -> None:
        for step in range(each):
            run.log_metric(f"own/{thread}", float(step), step)
            run.log_metric("shared", float(thread))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tracelet.stop_logging()
    view = primary(only_run(folder))
    for n in range(20):
        assert view.points(f"own/{n}") == [(step, float(step)) for step in range(each)]
    assert [step for step, _ in view.points("shared")] == list(range(20 * each))
    assert (view.gap_bytes, view.damaged, run.refused) == (0, 0, {})


FORKING = """
import os, sys, threading, tracelet
run = tracelet.start_logging("forks")
run.log_metric("loss", 1.0, 0)
stop = False
def busy():
    step = 0
    while not stop:
        run.log_metric("thread", 1.0, step); step += 1
thread = threading.Thread(target=busy); thread.start()
for n in range(8):
    pid = os.fork()
    if pid == 0:
        if n % 4 != 3:                       # every fourth child logs nothing: it gets no journal
            for step in range(1000):
                run.log_metric("child", float(n), step)
            if n % 4 == 1:
                grandchild = os.fork()
                if grandchild == 0:
                    run.log_metric("grandchild", float(n), 0)
                    os._exit(0)
                os.waitpid(grandchild, 0)
            if n % 4 == 2:
                raise ValueError("child failed")
        sys.exit(0)
    os.waitpid(pid, 0)
stop = True
thread.join()
run.log_metric("loss", 2.0, 1)
tracelet.stop_logging()
"""


def test_forked_children_are_writers_of_their_own(folder: Path, script: Any) -> None:
    """J2.7: role child, `of` the parent's writer, made at the first record; the parent's stream stays whole."""
    done = script.run(FORKING)
    assert done.returncode == 0, done.stderr
    views = read_run(only_run(folder))
    (parent,) = [(writer, view) for writer, view in views.items() if view.role == "primary"]
    assert parent[1].points("loss") == [(0, 1.0), (1, 2.0)]
    steps = [step for step, _ in parent[1].points("thread")]
    assert steps == list(range(len(steps)))
    assert parent[1].payloads("runFinished")[0]["status"] == "finished"
    children = {writer: view for writer, view in views.items() if view.identity.get("of") == parent[0]}
    assert len(children) == 6
    for view in children.values():
        assert view.role == "child"
        (n,) = {value for _, value in view.points("child")}
        assert [step for step, _ in view.points("child")] == list(range(1000))
        assert view.payloads("runFinished")[0]["status"] == ("failed" if n % 4 == 2 else "finished")
    grandchildren = [view for view in views.values() if view.identity.get("of") in children]
    assert sorted(view.points("grandchild")[0][1] for view in grandchildren) == [1.0, 5.0]
    assert len(views) == 1 + 6 + 2
    for view in views.values():
        assert (view.gap_bytes, view.damaged) == (0, 0)


def test_a_fork_inside_of_a_signal_handler(folder: Path, script: Any) -> None:
    """The child's copy of a record that is half-way through must not go on in the parent's segment."""
    done = script.run(
        """
import os, signal, time, tracelet
run = tracelet.start_logging("handler")
children = 0
def handler(*_):
    global children
    pid = os.fork()
    if pid == 0:
        is_child.append(1)
    else:
        os.waitpid(pid, 0); children += 1
is_child = []
signal.signal(signal.SIGALRM, handler)
asked = step = 0
while children < 20:
    if asked == children:                    # one at a time, or a busy machine forks without end
        asked += 1
        signal.setitimer(signal.ITIMER_REAL, 0.0005)
    run.log_metric("loss", float(step), step)
    if is_child:
        run.log_metric("child", 1.0, 0)
        os._exit(0)
    step += 1
signal.setitimer(signal.ITIMER_REAL, 0)
print(step)
""",
        PYTHONWARNINGS="ignore::DeprecationWarning",  # of forking beside a thread
    )
    assert (done.returncode, done.stderr) == (0, "")
    views = read_run(only_run(folder))
    view = primary(only_run(folder))
    assert view.points("loss") == [(n, float(n)) for n in range(int(done.stdout))]
    assert all((v.gap_bytes, v.damaged) == (0, 0) for v in views.values())
    assert sum(len(v.points("child")) for v in views.values()) == 20


def test_multiprocessing(folder: Path, script: Any) -> None:
    done = script.run(
        """
import multiprocessing, tracelet
def work(n):
    tracelet.get_active_experiment().log_metric("worker", float(n), n)
    return n
run = tracelet.start_logging("pool")
with multiprocessing.get_context("fork").Pool(3) as pool:
    assert pool.map(work, range(30)) == list(range(30))
tracelet.stop_logging()
"""
    )
    assert done.returncode == 0, done.stderr
    points = [point for view in read_run(only_run(folder)).values() for point in view.points("worker")]
    assert sorted(points) == [(n, float(n)) for n in range(30)]


def test_an_executed_child_keeps_no_lock(folder: Path) -> None:
    tracelet.start_logging("exec")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
    try:
        held = [os.readlink(f"/proc/{child.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{child.pid}/fd")]
        time.sleep(0.05)
        assert not [path for path in held if "folder" in path and path.endswith((".lock", ".tlj"))]
    finally:
        child.kill()
        child.wait()
