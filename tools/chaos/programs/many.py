"""Many writers at once: `many.py runs|writers COUNTERS COUNT NAME`, with a counter COUNTERS-<i> for each (trainer.py).

`runs`: as many processes, each with a run of its own. `writers`: one run, and as many forked children that log into it,
each in a context of its own, beside their parent, which logs nothing.
"""

import os
import signal
import sys

import tracelet
import trainer

COUNT_MAX = 64


def main(kind, counters, count, name):
    signal.alarm(trainer.LIFE_SECONDS)
    if not 0 < count <= COUNT_MAX:
        sys.exit(f"between 1 and {COUNT_MAX} writers, not {count}")
    run = tracelet.start_logging(name, project="chaos") if kind == "writers" else None
    children = []
    for i in range(count):
        pid = os.fork()
        if pid:
            children.append(pid)
            continue
        signal.alarm(trainer.LIFE_SECONDS)
        try:
            path = f"{counters}-{i}"
            if run is None:
                trainer.train(path, f"{name}-{i}")
            else:
                shared = trainer.counter(path)
                shared[8:40] = run.id.encode("ascii")
                trainer.log_calls(run, shared, i)
                tracelet.stop_logging()
        finally:
            os._exit(0)
    for pid in children:
        os.waitpid(pid, 0)
    if run is not None:
        tracelet.stop_logging()


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
