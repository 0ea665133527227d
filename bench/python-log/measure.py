"""Measures what capture costs a trainer, in one fresh process; prints one JSON object.

usage: measure.py log|tail|start|import
  log: nanoseconds of a call, quiet and beside a thread that never gives up the interpreter, each beside the reference of the
       same process: one ``os.write`` of the same 40 bytes.
  tail: nanoseconds of a call and of its reference, in turns for 3 s, then as long beside another process that writes a checkpoint of 1 GB
       to the same disk again and again: the median, the 99th and the 99.9th percentile and the most of each.
  start: milliseconds of ``start_logging``.
  import: milliseconds of ``import tracelet``, and of what an ordinary client of a tracking service imports of the standard library.
"""

import sys
import time

clock = time.perf_counter_ns


def cost_of_call(call, calls):
    """Nanoseconds of ``call(step)``: median and mean, less the clock's own, and the 99th percentile."""
    took = []
    idle = []
    for step in range(calls):
        begin = clock()
        call(step)
        took.append(clock() - begin)
        begin = clock()
        idle.append(clock() - begin)
    mean = (sum(took) - sum(idle)) / calls
    took.sort()
    idle.sort()
    return took[calls // 2] - idle[calls // 2], mean, took[calls * 99 // 100]


def contended(measure):
    """``measure()`` while another thread runs Python code without a pause."""
    import threading

    stop = False

    def spin():
        while not stop:
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        return measure()
    finally:
        stop = True
        thread.join()


def log():
    import os
    import tempfile

    import tracelet

    run = tracelet.start_logging(exp_name="bench", project="bench", backend="local")
    fd = os.open(os.path.join(tempfile.mkdtemp(), "reference"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    record = bytes(40)
    run.log_metric("loss", 0.5, 0)

    def ours(step):
        run.log_metric("loss", 0.5, step)

    def reference(step):
        os.write(fd, record)

    def empty(step):
        pass

    result = {
        "quiet": cost_of_call(ours, 100_000),
        "quietWrite": cost_of_call(reference, 20_000),
        "call": cost_of_call(empty, 100_000),
        "busy": contended(lambda: cost_of_call(ours, 20_000)),
        "busyWrite": contended(lambda: cost_of_call(reference, 1_000)),
    }
    tracelet.stop_logging(wait=False)
    return result


CHECKPOINT = """
import os, sys
part = os.urandom(1 << 20) * 16
print("begins", flush=True)
while True:
    fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for _ in range(64):
        os.write(fd, part)
    os.fsync(fd)
    os.close(fd)
"""

TAIL_SECONDS = 3.0
BLOCK = 1_000


def tails(log, reference):
    """Of both, in blocks by turns: nanoseconds at the median, at 99 % and 99.9 %, and the most."""
    from array import array

    took = array("q"), array("q")
    end = time.monotonic() + TAIL_SECONDS
    step = 0
    while time.monotonic() < end:
        for call, into in zip((log, reference), took):
            for step in range(step, step + BLOCK):
                begin = clock()
                call(step)
                into.append(clock() - begin)
    return [[values[len(values) * share // 1000] for share in (500, 990, 999)] + [values[-1]] for values in map(sorted, took)]


def tail():
    import os
    import subprocess

    import tracelet

    run = tracelet.start_logging(exp_name="bench", project="bench", backend="local")
    folder = os.path.join(run.folder, "runs", run.id)
    fd = os.open(os.path.join(folder, "reference"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    record = bytes(40)
    log = run.log_metric

    def ours(step):
        log("loss", 0.5, step)

    def reference(step):
        os.write(fd, record)

    ours(0)
    idle = tails(ours, reference)
    command = [sys.executable, "-c", CHECKPOINT, os.path.join(folder, "checkpoint")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        beside = tails(ours, reference)
        writer.kill()
    os.unlink(os.path.join(folder, "checkpoint"))
    tracelet.stop_logging(wait=False)
    return {"idle": idle[0], "idleWrite": idle[1], "checkpoint": beside[0], "checkpointWrite": beside[1]}


def start():
    import tracelet

    begin = clock()
    tracelet.start_logging(exp_name="bench", project="bench", backend="local")
    took = clock() - begin
    tracelet.stop_logging(wait=False)
    return {"start": took / 1e6}


def importing():
    begin = clock()
    import tracelet  # noqa: F401

    ours = clock()
    import dataclasses  # noqa: F401
    import http.client  # noqa: F401
    import logging  # noqa: F401

    return {"import": (ours - begin) / 1e6, "reference": (clock() - ours) / 1e6}


result = {"log": log, "tail": tail, "start": start, "import": importing}[sys.argv[1]]()
import json  # noqa: E402 -- only now, since what is imported before counts

print(json.dumps(result))
