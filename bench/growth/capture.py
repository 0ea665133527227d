"""Logs SERIES × POINTS in one run, again and again until 100,000 points were logged, and prints nanoseconds a point: of `log_metric`, and of
a function of Python's that packs the same 40 bytes into memory, called as often and with the same arguments.

usage: capture.py SERIES POINTS
"""

import struct
import sys
import time

import tracelet

LEAST = 100_000
clock = time.perf_counter_ns
series, points = int(sys.argv[1]), int(sys.argv[2])
names = [f"metric/{number}" for number in range(series)]
memory = bytearray((1 << 20) + 40)
pack = struct.Struct("<IIIIqdd").pack_into


def reference(name, value, step):
    at = step * 40 & 0xFFFF8
    pack(memory, at, 32, 0, 1, 0, step, value, time.time())


def cost(log):
    if series == 1:
        name = names[0]
        begin = clock()
        for step in range(points):
            log(name, 0.5, step)
        return clock() - begin
    begin = clock()
    for step in range(points):
        for name in names:
            log(name, 0.5, step)
    return clock() - begin


ours = beside = count = 0
while count < LEAST:
    run = tracelet.start_logging(exp_name="bench", project="bench", backend="local")
    ours += cost(run.log_metric)
    beside += cost(reference)
    if run.refused:
        sys.exit(f"refused: {run.refused}")
    tracelet.stop_logging(wait=False)
    count += series * points
print(ours / count, beside / count)
