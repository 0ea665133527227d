"""Records COUNT runs of 100 points, one after the other, and prints what all of them had on the disk while they lived, in MB.

usage: trainer.py COUNT
"""

import os
import sys

import tracelet


def blocks(folder):
    total = os.stat(folder).st_blocks
    for place, folders, files in os.walk(folder):
        total += sum(os.stat(os.path.join(place, name)).st_blocks for name in folders + files)
    return total


live = 0
for number in range(int(sys.argv[1])):
    run = tracelet.start_logging(exp_name=f"short-{number}", project="bench", backend="local")
    for step in range(100):
        run.log_metric("loss", 0.5, step)
    live += blocks(os.path.join(run.folder, "runs", run.id))
    tracelet.stop_logging(wait=False)
print(live * 512 / 1e6)
