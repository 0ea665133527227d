"""Prints milliseconds from the end of `start_logging` until the agent that is running has answered its thread, and until that agent knows
the run (it has taken its lock and looked at its journal by then); and what one more request to it takes from here.
"""

import time

import tracelet
from tracelet import _agent, _http

answered = []


def noted(*arguments):
    answer = _http.request(*arguments)
    answered.append(time.perf_counter())
    return answer


_agent.request = noted
run = tracelet.start_logging(exp_name="reach", project="bench", backend="local")
begin = time.perf_counter()
if not run._agent.wait_told(10):
    raise SystemExit("no agent was told")
told = time.perf_counter()
address, token, _ = run._agent._address()
asked = time.perf_counter()
_http.request(address, token, "GET", f"/v1/runs/{run.id}", None)
done = time.perf_counter()
tracelet.stop_logging(wait="never")
print(*((later - earlier) * 1000 for earlier, later in ((begin, answered[0]), (begin, told), (asked, done))))
