"""Logs at a steady pace, and says each second how many points it has logged and how much memory it has.

usage: trainer.py RATE SECONDS
"""

import sys
import time

import tracelet

PARTS = 100  # a second


def memory_mb():
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))


rate, seconds = int(sys.argv[1]), int(sys.argv[2])
run = tracelet.start_logging(exp_name="soak", project="soak", backend="local")
print(run.id, flush=True)
names = [f"metric/{number}" for number in range(10)]
began = time.monotonic()
logged = 0
slowest = 0.0
for part in range(PARTS * seconds):
    target = rate * (part + 1) // PARTS
    while logged < target:
        begin = time.perf_counter()
        run.log_metric(names[logged % 10], float(logged), logged // 10)
        slowest = max(slowest, time.perf_counter() - begin)
        logged += 1
    if (part + 1) % PARTS == 0:
        print(logged, f"{memory_mb():.2f}", f"{slowest * 1000:.3f}", flush=True)
    rest = began + (part + 1) / PARTS - time.monotonic()
    if rest > 0:
        time.sleep(rest)
lost = run.refused
tracelet.stop_logging(wait="never")
if lost:
    sys.exit(f"refused: {lost}")
