"""Measures what capture costs a trainer, in one fresh process; prints one JSON object.

usage: measure.py log|start|import
  log: nanoseconds of a call, quiet and beside a thread that never gives up the interpreter, each beside the reference of the
       same process: one ``os.write`` of the same 40 bytes.
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


result = {"log": log, "start": start, "import": importing}[sys.argv[1]]()
import json  # noqa: E402 -- only now, since what is imported before counts

print(json.dumps(result))
