"""Prints milliseconds from `start_logging` until the agent that is running knows the run; and what one request to it takes from here."""

import time

import tracelet
from tracelet import _http

begin = time.perf_counter()
run = tracelet.start_logging(exp_name="reach", project="bench", backend="local")
agent = run._agent
if not agent.wait_told(10):
    raise SystemExit("no agent was told")
told = time.perf_counter()
address, token, _ = agent._address()
asked = time.perf_counter()
_http.request(address, token, "GET", f"/v1/runs/{run.id}", None)
answered = time.perf_counter()
tracelet.stop_logging(wait="never")
print((told - begin) * 1000, (answered - asked) * 1000)
