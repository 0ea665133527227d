"""Logs COUNT points, prints the run's id, and waits until its standard input ends or says so.

usage: trainer.py COUNT
"""

import sys

import tracelet

run = tracelet.start_logging(exp_name="bench", project="bench", backend="local")
log = run.log_metric
for step in range(int(sys.argv[1])):
    log("loss", 0.5, step)
print(run.id, flush=True)
sys.stdin.readline()
tracelet.stop_logging(wait=False)
