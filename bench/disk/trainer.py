"""Logs COUNT points of a noisy series, prints the run's id, and waits until its standard input ends or says so.

usage: trainer.py COUNT
"""

import math
import random
import sys
from array import array

import tracelet

count = int(sys.argv[1])
chance = random.Random(1)
# What `loss.item()` of a tensor gives: float32, and no two alike.
values = array("f", (2.5 * math.exp(-step / count) + chance.gauss(0, 0.1) for step in range(count)))
run = tracelet.start_logging(exp_name="bench", project="bench", backend="local")
log = run.log_metric
for step in range(count):
    log("loss", values[step], step)
print(run.id, flush=True)
sys.stdin.readline()
tracelet.stop_logging(wait=False)
