"""Logs 10,000 points under a running agent and hands over: prints the run's id, milliseconds of `stop_logging`, and those of one request
to the agent.
"""

import time

import tracelet
from tracelet import _http

run = tracelet.start_logging(exp_name="bench", project="bench", backend="local")
agent = run._agent
if not agent.wait_told(20):
    raise SystemExit("no agent was told")
for step in range(10_000):
    run.log_metric("loss", 0.5, step)
address, token, _ = agent._address()
asked = time.perf_counter()
_http.request(address, token, "GET", f"/v1/runs/{run.id}", None)
begin = time.perf_counter()
tracelet.stop_logging(wait="never")
print(run.id, (time.perf_counter() - begin) * 1000, (begin - asked) * 1000)
