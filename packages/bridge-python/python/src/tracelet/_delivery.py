"""The end of a run: hand it over to the agent, or wait until it is delivered, and say what is left.

Waiting has a deadline, whoever answers and whatever it says.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Union

from ._agent import Agent, RunState
from ._refusals import warn

Wait = Union[str, bool, float]

# How long the end of a process waits for an agent that is just being started, in seconds.
_SETTLE_SECONDS = 3.0
_POLL_SECONDS = 0.1
# Progress is shown from here on, and where lines cannot be overwritten only so often.
# How long an agent may be silent before another one is looked for, once.
_SILENCE_SECONDS = 5.0
_QUIET_SECONDS = 1.0
_LINE_SECONDS = 10.0


def can_outlive() -> bool:
    """Whether a process that this one starts may go on when this one ends.

    Not in a container whose main process this is, nor under a batch scheduler, in CI, or in a notebook service.
    """
    environment = os.environ
    if any(environment.get(name) for name in ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")):
        return False
    if environment.get("CI", "").strip().lower() not in ("", "0", "false"):
        return False
    if any(name.startswith(("COLAB_", "KAGGLE_")) for name in environment):
        return False
    # The main process is often a shell or a small init above this one.
    is_container = any(os.path.exists(mark) for mark in ("/.dockerenv", "/run/.containerenv"))
    return os.getpid() != 1 and not (is_container and os.getppid() == 1)


def parse_wait(wait: Wait, timeout: float | None, usual_seconds: float) -> float | None:
    """Returns for how many seconds to wait; None for a hand-over. `wait` is "auto", "always", "never", or a number."""
    if isinstance(wait, (int, float)) and not isinstance(wait, bool):
        return max(0.0, float(wait))
    asked = not can_outlive() if wait == "auto" else wait in (True, "always")
    if not asked:
        return None
    return max(0.0, float(timeout)) if timeout is not None else usual_seconds


def deliver(agent: Agent, name: str, seconds: float | None) -> None:
    """Hands the run over (`seconds` is None), or waits at most that long until it is delivered; says what is left."""
    if seconds is None:
        agent.settle(_SETTLE_SECONDS)
        return
    began = time.monotonic()
    heard = began
    is_second = False
    state: RunState | None = None
    line = _ProgressLine()
    try:
        while True:
            left = began + seconds - time.monotonic()
            if not agent.wait_told(max(0.0, min(left, 0.5))):
                if agent.failure or left <= 0:
                    break
                continue
            # An answer after the deadline still counts: one look at least.
            answer = agent.state()
            if answer is not None:
                state, heard = answer, time.monotonic()
            elif time.monotonic() - heard > _SILENCE_SECONDS:
                if is_second:
                    break
                is_second, heard = True, time.monotonic()
                agent.begin()
            if state is not None and state.is_drained:
                return
            if left <= 0 or (state is not None and state.is_stuck):
                break
            if state is not None:
                line.show(f"tracelet: delivering {name}: {state.progress()}", time.monotonic() - began, seconds)
            time.sleep(min(_POLL_SECONDS, max(left, 0.0)))
    finally:
        line.end()
    _say_left(agent, name, state)


def _say_left(agent: Agent, name: str, state: RunState | None) -> None:
    if state is not None:
        agent.say_troubles(state)
    reached = f" ({state.progress()})" if state is not None and state.backends else ""
    why = f"{agent.failure}: " if agent.failure else ""
    warn(
        f"{why}{name} is not delivered yet{reached}; all of it is kept in {agent.folder}, "
        f"and `tracelet sync {agent.folder}` delivers it"
    )


class _ProgressLine:
    """A line on stderr: overwritten on a terminal, repeated now and then elsewhere."""

    def __init__(self) -> None:
        self._shown_at = 0.0
        self._is_open = False

    def show(self, text: str, elapsed: float, limit: float) -> None:
        now = time.monotonic()
        try:
            is_terminal = sys.stderr.isatty()
            if elapsed < _QUIET_SECONDS or (not is_terminal and now - self._shown_at < _LINE_SECONDS):
                return
            self._shown_at = now
            line = f"{text}, {elapsed:.0f} s of at most {limit:.0f}"
            sys.stderr.write(f"\r\x1b[K{line}" if is_terminal else f"{line}\n")
            sys.stderr.flush()
            self._is_open = is_terminal
        except Exception:
            pass  # No stderr, or a closed one.

    def end(self) -> None:
        if self._is_open:
            try:
                sys.stderr.write("\n")
                sys.stderr.flush()
            except Exception:
                pass  # As above.
