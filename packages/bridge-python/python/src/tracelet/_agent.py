"""The agent that delivers a folder's runs: found, started, told of a run, asked how far it is (docs/spec/agent.md).

None of it runs in the caller's thread while training goes on. Whatever fails here costs delivery time, never a point:
the journal is what counts, and `tracelet sync` delivers it from anywhere.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from _thread import start_new_thread
from collections.abc import Mapping

from ._folder import sync_command
from ._http import AgentError, is_listening, request
from ._ids import host_name
from ._node import CannotStart, start_agent
from ._payload import Json
from ._refusals import inform, warn
from .settings import flag

# How long a started agent may take until it listens; it needs about 0.1.
_START_SECONDS = 10.0
# A8: an agent that was told to stop leaves within 5 s.
_LEAVE_SECONDS = 6.0
# How often it is looked whether the agent is still there while the run goes on, and how often another one is started.
_WATCH_SECONDS = 30.0
_REPLACEMENTS_MAX = 10
# States of a backend in which waiting changes nothing.
_STUCK = ("held", "missing", "error")

Secrets = Mapping[str, Mapping[str, str]]


class RunState:
    """What the agent says of one run."""

    __slots__ = ("backends", "is_drained", "is_over")

    def __init__(self, answer: Json) -> None:
        fields = answer if isinstance(answer, dict) else {}
        backends = fields.get("backends")
        self.is_drained = fields.get("drained") is True
        # Whether the agent has seen that no writer of the run is left.
        self.is_over = fields.get("status") not in ("running", "stale", None)
        self.backends: dict[str, dict[str, Json]] = {
            name: state
            for name, state in (backends if isinstance(backends, dict) else {}).items()
            if isinstance(state, dict)
        }

    @property
    def is_stuck(self) -> bool:
        """Whether everything that is pending waits for somebody to change something."""
        pending = [state for state in self.backends.values() if state.get("pending")]
        return bool(pending) and all(state.get("state") in _STUCK for state in pending)

    def progress(self) -> str:
        """Returns a line such as `local 100 of 100, mlflow 40 of 100`."""
        parts: list[str] = []
        for name, state in sorted(self.backends.items()):
            delivered, pending = _count(state.get("delivered")), _count(state.get("pending"))
            parts.append(f"{name} {delivered} of {delivered + pending}")
        return ", ".join(parts)

    def troubles(self) -> dict[str, str]:
        """Returns backend to reason for those that need somebody to change something."""
        return {
            name: f"{state.get('state')}{': ' + str(state['reason']) if state.get('reason') else ''}"
            for name, state in self.backends.items()
            if state.get("state") in _STUCK
        }


def _count(value: Json) -> int:
    return value if isinstance(value, int) else 0


class Agent:
    """The agent of one tracelet folder, as one run sees it.

    Args:
        folder: the tracelet folder, an absolute path.
        run: the run's id.
        secrets: backend to key to text; they go over the socket and nowhere else.
        version: ours; an agent of another one is replaced (A9).
    """

    def __init__(self, folder: str, run: str, secrets: Secrets, version: str) -> None:
        self.folder = folder
        self.run = run
        # Why nobody delivers, once that is known.
        self.failure = ""
        # Whether a failure is a word of its own, or said by who waits for the agent at the end.
        self._is_ending = False
        self._secrets = secrets
        self._version = version
        self._file = os.path.join(folder, "agents", re.sub(r"[^A-Za-z0-9._-]", "_", host_name()) + ".json")
        self._started = threading.Event()
        self._told = threading.Event()
        self._is_left = threading.Event()
        self._said: dict[str, str] = {}

    def begin(self, *, watch: bool = False) -> None:
        """Finds or starts the agent and tells it of the run, in a thread.

        With `watch` that thread goes on, and replaces an agent that was killed, until `leave`.
        """
        try:
            start_new_thread(self._work, (watch,))  # threading.Thread would wait until it runs
        except RuntimeError:
            self._work(False)  # The interpreter is going down, or has no thread left.

    def leave(self) -> None:
        """The run has ended: who ends it looks after the agent from now on."""
        self._is_left.set()

    def is_gone(self) -> bool:
        """Whether nobody listens any more. An agent that is only busy does."""
        known = self._address()
        return known is None or not is_listening(known[0])

    def settle(self, seconds: float) -> None:
        """Waits until this process may end: the agent was started, and has the secrets if there are any.

        One that is gone by now is replaced; where none can be had, it says what is kept.
        """
        (self._told if self._secrets else self._started).wait(seconds)
        if not self._told.is_set() or self.failure or not self.is_gone():
            return  # It is on its way, or it was said that there is none, or it is there.
        self._is_ending = True
        self._started.clear()
        self._told.clear()
        self.begin()
        if not self._told.wait(seconds) or self.failure:
            why = self.failure or f"another one does not answer within {seconds:g} s"
            warn(
                f"the agent is gone ({why}); all that was recorded is kept in {self.folder}, "
                f"and `{sync_command(self.folder)}` delivers it"
            )

    def wait_told(self, seconds: float) -> bool:
        """Waits until the agent knows the run. False when it does not within `seconds`, or never will."""
        return self._told.wait(seconds) and not self.failure

    def state(self) -> RunState | None:
        """Returns how far the run is, or None when nobody answers."""
        try:
            status, answer = self._ask("GET", f"/v1/runs/{self.run}")
            if status == 404:  # Not looked at yet, or delivered so long ago that it was let go.
                status, answer = self._ask("POST", "/v1/runs", {"run": self.run})
        except AgentError:
            return None
        return RunState(answer) if status == 200 else None

    def tell(self) -> bool:
        """Tells the agent of the run, with its secrets. False when nobody answers."""
        body: dict[str, Json] = {"run": self.run}
        if self._secrets:
            body["secrets"] = {backend: dict(values) for backend, values in self._secrets.items()}
        try:
            status, answer = self._ask("POST", "/v1/runs", body)
        except AgentError:
            return False
        if status == 200:
            self.say_troubles(RunState(answer))
        return status < 500

    def say_troubles(self, state: RunState) -> None:
        """Says what is wrong with a backend, once for each reason."""
        for backend, reason in state.troubles().items():
            if self._said.get(backend) != reason:
                self._said[backend] = reason
                warn(f"backend {backend} is {reason.rstrip(' .;')}. What is recorded is kept for it")

    def _work(self, watch: bool) -> None:
        try:
            self._find_or_start()
        except CannotStart as error:
            self.failure = str(error)
            say = inform if error.is_expected or self._is_ending else warn
            say(f"{error}; recording goes on, and `{sync_command(self.folder)}` delivers it later")
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
            warn(f"the agent could not be started ({self.failure}); recording goes on")
        finally:
            self._started.set()
            self._told.set()
        for _ in range(_REPLACEMENTS_MAX if watch else 0):
            while not self._is_left.wait(_WATCH_SECONDS) and not self.is_gone():
                pass
            if self.failure or self._is_left.is_set():
                return
            try:
                self._find_or_start()
                inform("the agent was gone; another one delivers")
            except Exception:
                pass  # Tried again; at the end of the run it is said what is kept.

    def _find_or_start(self) -> None:
        known = self._address()
        if known is not None and self._is_listening():
            if known[2] == self._version:
                if self.tell():
                    return
            else:
                self._send_away()
        if not flag("TRACELET_AGENT", default=True):
            raise CannotStart("TRACELET_AGENT is off", is_expected=True)
        start_agent(self.folder)
        self._started.set()
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._address() is not None and self.tell():
                return
            time.sleep(0.02)
        log = f"{self._file[:-5]}.log"
        raise CannotStart(f"the agent does not answer{'; its log is ' + log if os.path.exists(log) else ''}")

    def _send_away(self) -> None:
        """Asks an agent of another version to leave, and waits until it has (A9). Its lock is not opened: J8.2."""
        try:
            self._ask("POST", "/v1/stop", {})
        except AgentError:
            pass  # Already going.
        deadline = time.monotonic() + _LEAVE_SECONDS
        while time.monotonic() < deadline and (os.path.exists(self._file) or self._is_listening()):
            time.sleep(0.05)

    def _is_listening(self) -> bool:
        try:
            return self._ask("GET", "/v1/status")[0] == 200
        except AgentError:
            return False

    def _ask(self, method: str, path: str, body: dict[str, Json] | None = None) -> tuple[int, Json]:
        known = self._address()
        if known is None:
            raise AgentError("there is no agent")
        return request(known[0], known[1], method, path, body)

    def _address(self) -> tuple[str, str, str] | None:
        """Returns socket, token and version of the agent that says it is there (A3)."""
        try:
            with open(self._file, encoding="utf-8") as file:
                fields = json.load(file)
            return str(fields["address"]), str(fields["token"]), str(fields["tracelet"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
