"""Logs as fast as it can until it is killed, and says after each call that the call has returned.

    trainer.py COUNTER NAME

COUNTER is a file of 64 bytes, mapped into memory: the number of calls that have returned (u64), then the run's id. What
is stored there survives SIGKILL as the journal does, and costs a tenth of a microsecond. What call number i logs stands
in expected.ts, too: `call` there and `log_calls` here must say the same.

CHAOS_POINTS: how many calls, after which it ends well; CHAOS_PAUSE: seconds of sleep after every 64 calls.
"""

import math
import mmap
import os
import signal
import sys
import time

import tracelet

SERIES = ("loss", "late", "Güte/π", "val")
ODDITIES = (math.nan, math.inf, -math.inf, -0.0)

# Whoever started it has ended it long before: nothing goes on for ever.
LIFE_SECONDS = 180


def counter(path):
    with open(path, "r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 64))


def log_calls(run, shared, worker=None):
    limit = int(os.environ.get("CHAOS_POINTS", "0")) or sys.maxsize
    pause = float(os.environ.get("CHAOS_PAUSE", "0"))
    returned = shared[:8].cast("Q")
    context = {} if worker is None else {"worker": worker}
    val = {"subset": "val", **context}
    for i in range(limit):
        step, which = divmod(i, len(SERIES))
        value = ODDITIES[i // 997 % 4] if i % 997 == 0 else (i * 2654435761 % 2**32) / 1024 - 1e6
        if which == 3:
            run.log({SERIES[3]: value}, step=step, context=val)
        elif worker is not None:
            run.log({SERIES[which]: value}, step=-step if which == 1 else step, context=context)
        elif which == 1:
            run.log_metric(SERIES[1], value, -step)
        else:
            run.log_metric(SERIES[which], value, step)
        returned[0] = i + 1
        if pause and i % 64 == 63:
            time.sleep(pause)


def train(path, name):
    signal.alarm(LIFE_SECONDS)
    shared = counter(path)
    run = tracelet.start_logging(name, project="chaos")
    shared[8:40] = run.id.encode("ascii")
    log_calls(run, shared)
    tracelet.stop_logging()


if __name__ == "__main__":
    train(sys.argv[1], sys.argv[2])
