"""The end of a run: hand it over to the agent, or wait until it is delivered, and say what is left.

Waiting has a deadline, whoever answers and whatever it says; Ctrl-C ends it at once, SIGTERM soon.
"""

from __future__ import annotations

import sys
import time
from typing import Union

from ._agent import Agent, RunState
from ._folder import sync_command
from ._outlive import why_not
from ._refusals import warn

Wait = Union[str, bool, float]

# How long the end of a process waits for an agent that is just being started, in seconds.
_SETTLE_SECONDS = 3.0
_POLL_SECONDS = 0.1
# How long, when all is delivered, until the agent has seen that this process's writer has ended.
_CLOSE_SECONDS = 2.0
# How long an agent that is there may be silent before another one is looked for, once.
_SILENCE_SECONDS = 5.0
# Progress is shown from here on, and where lines cannot be overwritten only so often.
_QUIET_SECONDS = 1.0
_LINE_SECONDS = 10.0


def parse_wait(wait: Wait, timeout: float | None, usual_seconds: float) -> tuple[float | None, str]:
    """Returns for how many seconds to wait, None for a hand-over, and why.

    `wait` is "auto" (where the agent cannot outlive this process), "always", "never", True, False, or a number.
    """
    if isinstance(wait, (int, float)) and not isinstance(wait, bool):
        return max(0.0, float(wait)), "as asked"
    if wait == "auto":
        whole = why_not()
        why = f"since the agent ends with {whole}"
        if not whole:
            return None, ""
    elif wait in (True, "always"):
        why = "as asked"
    else:
        return None, ""
    return max(0.0, float(timeout)) if timeout is not None else usual_seconds, why


class Delivery:
    """The delivery of one run at its end.

    Args:
        seconds: how long to wait at most until all is delivered; None: hand it over, and go.
        why: the reason for waiting, shown with the progress.
    """

    def __init__(self, agent: Agent, name: str, seconds: float | None, why: str = "") -> None:
        self._agent = agent
        self._name = name
        self._seconds = seconds
        self._why = why
        self._began = time.monotonic()
        self._state: RunState | None = None

    def hasten(self, seconds: float) -> None:
        """Cuts the wait that is going on to `seconds` from now: for a signal handler."""
        if self._seconds is not None:
            self._seconds = min(self._seconds, time.monotonic() - self._began + seconds)

    def run(self) -> None:
        """Hands over, or waits; says what is left. An interrupt goes on to the caller when that has been said."""
        if self._seconds is None:
            self._agent.settle(_SETTLE_SECONDS)
            return
        is_done = False
        line = _ProgressLine()
        try:
            is_done = self._wait(line)
        finally:
            line.end()
            if not is_done:
                self._say_left()

    def _wait(self, line: _ProgressLine) -> bool:
        """Waits until all is delivered. False: the deadline, or nobody to wait for."""
        heard = self._began
        is_second = False
        drained = 0.0
        while True:
            limit = self._seconds or 0.0
            left = self._began + limit - time.monotonic()
            if not self._agent.wait_told(max(0.0, min(left, 0.5))):
                if self._agent.failure or left <= 0:
                    return False
                continue
            # An answer after the deadline still counts: one look at least.
            answer = self._agent.state()
            if answer is not None:
                self._state, heard = answer, time.monotonic()
            elif not is_second and (self._agent.is_gone() or time.monotonic() - heard > _SILENCE_SECONDS):
                is_second, heard = True, time.monotonic()
                self._agent.begin()
            elif time.monotonic() - heard > _SILENCE_SECONDS:
                return False
            state = self._state
            if state is not None and state.is_drained:
                # Its backends still have to hear that the run has ended: a moment, or as long as other ranks go on.
                drained = drained or time.monotonic()
                if state.is_over or time.monotonic() - drained > _CLOSE_SECONDS:
                    return True
            if left <= 0 or (state is not None and state.is_stuck):
                return False
            if state is not None:
                progress = f"tracelet: delivering {self._name}: {state.progress()}"
                line.show(progress, time.monotonic() - self._began, limit, self._why)
            time.sleep(min(_POLL_SECONDS, max(left, 0.0)))

    def _say_left(self) -> None:
        state, folder = self._state, self._agent.folder
        if state is not None:
            self._agent.say_troubles(state)
        reached = f" ({state.progress()})" if state is not None and state.backends else ""
        why = f"{self._agent.failure}: " if self._agent.failure else ""
        warn(
            f"{why}{self._name} is not delivered yet{reached}; all of it is kept in {folder}, "
            f"and `{sync_command(folder)}` delivers it"
        )


class _ProgressLine:
    """A line on stderr: overwritten on a terminal, repeated now and then elsewhere."""

    def __init__(self) -> None:
        self._shown_at = 0.0
        self._is_open = False

    def show(self, text: str, elapsed: float, limit: float, why: str) -> None:
        now = time.monotonic()
        try:
            is_terminal = sys.stderr.isatty()
            if elapsed < _QUIET_SECONDS or (not is_terminal and now - self._shown_at < _LINE_SECONDS):
                return
            self._shown_at = now
            line = f"{text}, {elapsed:.0f} s of at most {limit:.0f}{', ' + why if why else ''}"
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
