"""Every way in which a process ends, as a generated case with a seed: no acknowledged point is lost or doubled, the
order is kept, the status is right, and it ends within a deadline.

`TRACELET_ENDINGS_SEEDS=50 pytest tests/test_endings.py` plays every ending with as many seeds (default 1).

A program acknowledges a point, after `log` has returned, in a mapped file that outlives it, however it ends.
"""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, NamedTuple

import pytest
from journal_reader import WriterView, read_run

SEEDS = int(os.environ.get("TRACELET_ENDINGS_SEEDS", "1"))
DEADLINE_SECONDS = 30.0
LANES = 64

# What every program begins with. `Lane(n)` logs 0, 1, 2 … into series `n` and acknowledges each that the run has taken.
HEAD = """
import atexit, mmap, os, random, signal, struct, sys, threading, time
import tracelet
SEED, ACKS = int(os.environ["SEED"]), os.environ["ACKS"]
chance = random.Random(SEED)
_file = open(ACKS, "r+b")
_acks = mmap.mmap(_file.fileno(), 0)
class Lane:
    def __init__(self, number, run=None):
        self.number, self.step, self.run = number, 0, run or globals().get("run")
    def log(self, count=1):
        for _ in range(count):
            # The run is over before its journal is: what was logged while it was not is in there.
            self.run.log_metric(str(self.number), self.step / 8, self.step)
            if not self.run.is_running:
                return False
            self.step += 1
            struct.pack_into("<Q", _acks, 8 * self.number, self.step)
        return True
"""
START = 'run = tracelet.start_logging("ending")\nmain = Lane(0)\nmain.log(chance.randrange(1, 3000))\n'


class Ending(NamedTuple):
    """A program, how it is treated, and what must come of it."""

    source: str
    status: str | None = "finished"  # of the run's primary writer; None: no end record, which reads as killed
    codes: tuple[int, ...] = (0,)
    exit_code: int | None = None
    # What is done to the process when it prints `ready`.
    treat: Callable[[subprocess.Popen[str], random.Random], None] | None = None
    variables: tuple[tuple[str, str], ...] = ()
    runs: int = 1
    before: str = ""  # the run starts
    marks: tuple[Any, ...] = ()


def send(number: int, times: int = 1, pause: float = 0.0) -> Callable[[subprocess.Popen[str], random.Random], None]:
    def treat(process: subprocess.Popen[str], chance: random.Random) -> None:
        for _ in range(times):
            time.sleep(chance.uniform(0.0, 0.05) + pause)
            process.send_signal(number)

    return treat


BUSY = "print('ready', flush=True)\nend = time.monotonic() + 20\nwhile time.monotonic() < end: main.log(10)\n"
READY = "print('ready', flush=True)\ntime.sleep(20)\n"
# The agent of these programs never delivers: a drain goes on until its deadline.
STUCK = """
import tracelet._agent as a
class State:
    is_drained = is_stuck = False; backends = {}
    def progress(self): return "local 0 of 1"
a.Agent.begin = lambda self: (self._started.set(), self._told.set())
a.Agent.state = lambda self: State()
a.Agent.say_troubles = lambda self, state: None
"""

# On a busy machine the next signal comes before the handler is through: then it is let go.
ALARM = """
other, is_inside = Lane(1), False
def handler(*_):
    global is_inside
    if not is_inside:
        is_inside = True
        other.log(2); run.log_params({"a": 1})
        is_inside = False
"""

HOOK = "def hook(*args): sys.stderr.write('mine')\nsys.excepthook = hook\n"
# A lane of its own: it may come between a point of the other and the count of it.
HANDLER = "def handler(*_):\n    Lane(1).log(3)\n    sys.exit(0)\nsignal.signal(signal.SIGTERM, handler)\n"
POOL = """
import multiprocessing
def work(number):
    lane = Lane(number)
    lane.log(chance.randrange(1, 800) + number)
if __name__ == "__main__":
    run = tracelet.start_logging("ending")
    main = Lane(0); main.log(100)
    workers = [multiprocessing.get_context("fork").Process(target=work, args=(n,)) for n in range(1, 5)]
    for each in workers: each.start()
    main.log(500)
    for each in workers: each.join(20)
"""
# A child that does not share this memory has a run of its own.
SPAWN = """
import multiprocessing
def work(number):
    global run
    run = tracelet.start_logging("child")
    Lane(number).log(400)
    tracelet.stop_logging()
if __name__ == "__main__":
    run = tracelet.start_logging("ending")
    main = Lane(0); main.log(100)
    workers = [multiprocessing.get_context(METHOD).Process(target=work, args=(n,)) for n in range(1, 4)]
    for each in workers: each.start()
    main.log(500)
    for each in workers: each.join(20)
"""
LOADER = """
import warnings; warnings.simplefilter("ignore")
import torch
class Data(torch.utils.data.Dataset):
    def __len__(self): return 64
    def __getitem__(self, index):
        worker = torch.utils.data.get_worker_info().id + 1
        lane = lanes.setdefault(worker, Lane(worker)); lane.log(20)
        return torch.zeros(2)
lanes = {}
if __name__ == "__main__":
    run = tracelet.start_logging("ending")
    main = Lane(0); main.log(100)
    for _ in torch.utils.data.DataLoader(Data(), batch_size=4, num_workers=3, multiprocessing_context="fork"):
        main.log(50)
"""
DAEMONS = """
def work(number):
    lane = Lane(number)
    while lane.log(): pass
    while True:             # and on, beyond the end of the run, until the interpreter stops this thread somewhere
        run.log_metric("late", 1.0, 0); run.log_params({"late": 1})
for number in range(1, 5):
    threading.Thread(target=work, args=(number,), daemon=True).start()
time.sleep(chance.uniform(0.0, 0.1))
"""
LAST = """
class Last:
    def __del__(self):
        self.run.log_metric("late", 1.0, 0); self.run.log({"late": 1}); self.run.log_params({"late": 1})
        self.run.log_text("late", "x"); self.run.set_tags(["x"]); self.run.flush(); self.run.stop()
last = Last(); last.run = run; last.itself = last
bound = run.log_metric
"""

ENDINGS: dict[str, Ending] = {
    "falls off the end": Ending(""),
    "stop_logging": Ending("tracelet.stop_logging()"),
    "sys.exit(1)": Ending("sys.exit(1)", "failed", (1,), 1),
    "exit(2)": Ending("exit(2)", "failed", (2,), 2),
    "quit('why')": Ending("quit('why')", "failed", (1,), 1),
    "exit()": Ending("exit()", "finished", (0,), 0),
    "exit(2), caught": Ending("try: exit(2)\nexcept SystemExit: main.log(5)"),
    # Not to be seen from inside of the process: the interpreter keeps the code to itself. `with` sees it.
    "raise SystemExit(3)": Ending("raise SystemExit(3)", "finished", (3,)),
    "raise SystemExit(3) in a with": Ending("with run: raise SystemExit(3)", "failed", (3,), 3),
    "an exception": Ending("raise ValueError('no')", "failed", (1,), 1),
    "a hook set before": Ending("tracelet.stop_logging()\n" + HOOK + START + "1/0", "failed", (1,), 1, runs=2),
    "a hook set after": Ending(HOOK + "1/0", "failed", (1,), 1),
    "a hook that fails": Ending("sys.excepthook = lambda *_: 1/0\nraise ValueError", "failed", (1,), 1),
    "os._exit": Ending("os._exit(5)", None, (5,)),
    "os.abort": Ending("os.abort()", None, (-signal.SIGABRT,)),
    "SIGKILL": Ending(BUSY, None, (-signal.SIGKILL,), treat=send(signal.SIGKILL)),
    "SIGTERM": Ending(BUSY, "killed", (-signal.SIGTERM,), 143, send(signal.SIGTERM)),
    "SIGTERM twice": Ending(BUSY, "killed or none", (-signal.SIGTERM,), 143, send(signal.SIGTERM, 2)),
    "SIGTERM in a drain": Ending(
        "print('ready', flush=True)\ntracelet.stop_logging(wait=60)\ntime.sleep(20)",
        "finished",
        (-signal.SIGTERM,),
        treat=send(signal.SIGTERM, pause=0.5),
        variables=(("TRACELET_SIGTERM_TIMEOUT", "0.5"),),
        before=STUCK,
    ),
    "SIGTERM twice in a drain": Ending(
        "print('ready', flush=True)\ntracelet.stop_logging(wait=60)\ntime.sleep(20)",
        "finished",
        (-signal.SIGTERM,),
        treat=send(signal.SIGTERM, 2, pause=0.5),
        before=STUCK,
    ),
    "SIGTERM with a handler from before": Ending(
        "tracelet.stop_logging()\n" + HANDLER + START + BUSY, "killed", (0,), 0, send(signal.SIGTERM), runs=2
    ),
    "SIGTERM with a handler from after": Ending(HANDLER + BUSY, "finished", (0,), 0, send(signal.SIGTERM)),
    "SIGINT": Ending(BUSY, "killed", (-signal.SIGINT,), 130, send(signal.SIGINT)),
    "SIGINT twice": Ending(BUSY, "killed or none", (-signal.SIGINT, 1), 130, send(signal.SIGINT, 2)),
    "SIGINT twice in a drain": Ending(
        BUSY,
        "killed",
        (-signal.SIGINT,),
        130,
        send(signal.SIGINT, 2, 0.5),
        variables=(("TRACELET_STOP_WAIT", "always"),),
        before=STUCK,
    ),
    "SIGINT in stop_logging": Ending(
        "print('ready', flush=True)\ntracelet.stop_logging(wait=60)",
        "finished",
        (-signal.SIGINT,),
        treat=send(signal.SIGINT, pause=0.5),
        before=STUCK,
    ),
    "SIGHUP": Ending(BUSY, None, (-signal.SIGHUP,), treat=send(signal.SIGHUP)),
    "log from a signal handler": Ending(
        ALARM
        + """
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.002)
end = time.monotonic() + 0.3
while time.monotonic() < end: main.log(10)
signal.setitimer(signal.ITIMER_REAL, 0)
"""
    ),
    "log from a signal handler at the end": Ending(
        ALARM
        + """
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0005)
main.log(2000)
tracelet.stop_logging()
time.sleep(0.02)
signal.setitimer(signal.ITIMER_REAL, 0)
"""
    ),
    "log from __del__": Ending(
        """
class Cycle:
    def __del__(self): Lane.log(other, 1)
other = Lane(1)
import gc
for _ in range(300):
    cycle = Cycle(); cycle.itself = cycle; main.log(3)
    if chance.random() < 0.05: gc.collect()
"""
    ),
    "log from atexit, registered before": Ending(
        "tracelet.stop_logging()\natexit.register(lambda: Lane(1).log(5))\n" + START, runs=2
    ),
    "log from atexit, registered after": Ending("atexit.register(lambda: Lane(1).log(500))"),
    "twenty threads": Ending(
        """
threads = [threading.Thread(target=Lane(n).log, args=(chance.randrange(1, 2000),)) for n in range(1, 21)]
for each in threads: each.start()
main.log(1000)
for each in threads: each.join()
"""
    ),
    "threads that outlive the main one": Ending(
        "for n in range(1, 5): threading.Thread(target=Lane(n).log, args=(3000,)).start()"
    ),
    "daemon threads": Ending(DAEMONS),
    "daemon threads and module teardown": Ending(LAST + DAEMONS),
    "daemon threads and sys.exit(1)": Ending(DAEMONS + "sys.exit(1)", "failed", (1,), 1),
    "daemon threads and os._exit": Ending(DAEMONS + "os._exit(1)", None, (1,)),
    "module teardown": Ending(LAST),
    "module teardown, disabled": Ending(LAST + "tracelet.start_logging('x', backend='none')"),
    "a forked child that outlives its parent": Ending(
        """
if os.fork() == 0:
    lane = Lane(1)
    end = time.monotonic() + 0.4
    while time.monotonic() < end: lane.log(5); time.sleep(0.001)
    os._exit(0)
main.log(100)
"""
    ),
    "a forked child, killed": Ending(
        """
child = os.fork()
if child == 0:
    lane = Lane(1)
    end = time.monotonic() + 10
    while time.monotonic() < end: lane.log(5)
    os._exit(0)
time.sleep(chance.uniform(0.0, 0.1))
os.kill(child, signal.SIGKILL); os.waitpid(child, 0)
main.log(100)
"""
    ),
    "fork beside daemon threads": Ending(
        DAEMONS
        + """
for number in range(8, 12):
    if os.fork() == 0:
        Lane(number).log(200)
        sys.exit(0)
for _ in range(4): os.wait()
"""
    ),
    "multiprocessing, fork": Ending(POOL),
    "multiprocessing, spawn": Ending(SPAWN.replace("METHOD", "'spawn'"), runs=4),
    "multiprocessing, forkserver": Ending(SPAWN.replace("METHOD", "'forkserver'"), runs=4),
    "a subprocess with our variables": Ending(
        """
import subprocess
source = open(__file__).read().split("# end of head")[0] + 'run = tracelet.start_logging()\\nLane(1).log(300)'
subprocess.run([sys.executable, "-c", source], check=True, timeout=20)
main.log(50)
""",
        variables=(("TRACELET_EXPERIMENT_NAME", "given"), ("TRACELET_PROJECT", "p")),
        runs=2,
    ),
    "DataLoader workers": Ending(LOADER, marks=(pytest.mark.torch,)),
}
# Programs that begin their run by themselves: another interpreter imports them again.
OWN_START = (POOL, SPAWN, LOADER)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("name", [pytest.param(name, marks=ending.marks) for name, ending in ENDINGS.items()])
def test_ending(folder: Path, tmp_path: Path, name: str, seed: int) -> None:
    ending = ENDINGS[name]
    if name == "DataLoader workers":
        pytest.importorskip("torch", reason="torch is not installed")
    chance = random.Random(f"{name} {seed}")
    acks = tmp_path / "acks"
    acks.write_bytes(bytes(8 * LANES))
    program = tmp_path / "program.py"
    starts_itself = any(ending.source.startswith(own.split("METHOD")[0]) for own in OWN_START)
    program.write_text(HEAD + "# end of head\n" + ("" if starts_itself else ending.before + START) + ending.source)
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "TRACELET_STOP_WAIT": "never",
            "PYTHONWARNINGS": "ignore::DeprecationWarning",
            **dict(ending.variables),
            "SEED": str(chance.randrange(1 << 30)),
            "ACKS": str(acks),
        },
        start_new_session=True,
    )
    try:
        if ending.treat is not None:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            ending.treat(process, chance)
        # Also until children that outlive it have closed its streams.
        _, errors = process.communicate(timeout=DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        pytest.fail(f"{name}, seed {seed}: hangs")
    took = time.monotonic() - began
    assert process.returncode in ending.codes, errors
    # A program that is asked to end, or waits for nobody, is not kept: the sleeps and loops above are of 20 s.
    assert took < 15, f"{took:.1f} s"
    assert "Exception ignored" not in errors or name.startswith("SIGINT"), errors
    runs = list((folder / "runs").iterdir())
    assert len(runs) == ending.runs
    views = [view for path in runs for view in read_run(path).values()]
    check_points(acks, views)
    # The run that the program ended in; that of a subprocess or of a spawned child has no lane 0.
    with_main = [view for view in views if view.role == "primary" and view.points("0")]
    check_status(ending, max(with_main, key=lambda view: float(view.payloads("runStarted")[0]["time"])))


def check_points(acks: Path, views: list[WriterView]) -> None:
    """Each lane's points are there once, in order, from 0 and without a hole, and no fewer than were acknowledged."""
    counts = struct.unpack(f"<{LANES}Q", acks.read_bytes())
    for number, acknowledged in enumerate(counts):
        points = [point for view in views for point in view.points(str(number))]
        # A lane is begun anew where a program begins a second run.
        starts = [index for index, (step, _) in enumerate(points) if step == 0] or [0]
        for begin, end in zip(starts, [*starts[1:], len(points)]):
            assert points[begin:end] == [(step, step / 8) for step in range(end - begin)]
        lengths = [end - begin for begin, end in zip(starts, [*starts[1:], len(points)])]
        assert max(lengths) >= acknowledged, f"lane {number}"
        # At most the one that was being logged when the end came was not acknowledged.
        assert min(abs(length - acknowledged) for length in lengths) <= 1, f"lane {number}: {lengths}, {acknowledged}"
    for view in views:
        assert (view.damaged, view.unknown) == (0, 0)
        assert view.gap_bytes <= 64


def check_status(ending: Ending, view: WriterView) -> None:
    ends = view.payloads("runFinished")
    if ending.status is None:
        assert ends == []
        return
    if ending.status == "killed or none" and not ends:
        return  # The second came before the end record: what has none was killed (J10.1).
    assert len(ends) == 1
    assert view.events[-1]["kind"] == "runFinished"
    assert (ends[0]["status"], ends[0].get("exitCode")) == (ending.status.split(" ")[0], ending.exit_code)
