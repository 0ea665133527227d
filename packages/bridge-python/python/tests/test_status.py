"""How runs end: docs/spec/journal.md J5.6 and §10, in processes of their own."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from journal_reader import only_run, primary

import tracelet

START = "import os, signal, sys, time, tracelet\nrun = tracelet.start_logging('s')\nrun.log_metric('loss', 1.0, 0)\n"

# what the program does -> (its exit code, status, exitCode, a part of error)
ENDINGS: list[tuple[str, int, str | None, int | None, str]] = [
    ("", 0, "finished", None, ""),
    ("tracelet.stop_logging()", 0, "finished", None, ""),
    ("sys.exit()", 0, "finished", 0, ""),
    ("sys.exit(0)", 0, "finished", 0, ""),
    ("sys.exit(3)", 3, "failed", 3, "exit code 3"),
    ("sys.exit('broken')", 1, "failed", 1, "broken"),
    ("raise ValueError('no')", 1, "failed", 1, "ValueError: no"),
    ("raise KeyboardInterrupt", 130, "killed", 130, "KeyboardInterrupt"),
    ("os.kill(os.getpid(), signal.SIGINT); time.sleep(9)", 130, "killed", 130, "KeyboardInterrupt"),
    ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)", -15, "killed", 143, "SIGTERM"),
    ("os.kill(os.getpid(), signal.SIGKILL); time.sleep(9)", -9, None, None, ""),
    ("os._exit(5)", 5, None, None, ""),
    # noted, but caught: training went on
    ("try: sys.exit(3)\nexcept SystemExit: run.log_metric('loss', 1.0, 1)", 0, "finished", None, ""),
    ("try: raise ValueError\nexcept ValueError: pass", 0, "finished", None, ""),
    # stop_logging in the finally of the exception
    ("try: raise ValueError('no')\nfinally: tracelet.stop_logging()", 1, "failed", 1, "ValueError: no"),
    (
        "def main(): tracelet.stop_logging()\ntry: raise ImportError\nexcept ImportError: main()",
        0,
        "finished",
        None,
        "",
    ),
    # the context manager
    ("with run: pass", 0, "finished", None, ""),
    ("with run: raise ValueError('no')", 1, "failed", 1, "ValueError: no"),
    ("with run: sys.exit(4)", 4, "failed", 4, "exit code 4"),
    ("with run: sys.exit(0)", 0, "finished", 0, ""),
    ("with run: raise KeyboardInterrupt", 130, "killed", 130, "KeyboardInterrupt"),
    # a thread's exception is not the program's
    ("import threading\nt = threading.Thread(target=lambda: 1/0); t.start(); t.join()", 0, "finished", None, ""),
]


@pytest.mark.parametrize(("source", "code", "status", "exit_code", "error"), ENDINGS)
def test_endings(
    folder: Path, script: Any, source: str, code: int, status: str | None, exit_code: int | None, error: str
) -> None:
    done = script.run(START + source)
    # A KeyboardInterrupt that nobody catches ends Python by its own signal.
    assert done.returncode in ((code, -2) if code == 130 else (code,)), done.stderr
    view = primary(only_run(folder))
    ends = view.payloads("runFinished")
    assert len(ends) == (status is not None)
    assert view.points("loss")[0] == (0, 1.0)
    if status is not None:
        assert view.events[-1]["kind"] == "runFinished"
        assert (ends[0]["status"], ends[0].get("exitCode")) == (status, exit_code)
        assert error in ends[0].get("error", "")
        assert ("error" in ends[0]) == bool(error)


def test_the_hooks_that_were_there_are_called_and_come_back(folder: Path, script: Any) -> None:
    done = script.run(
        """
import signal, sys, tracelet
seen = []
sys.excepthook = mine = lambda *args: print("hook", args[0].__name__)
signal.signal(signal.SIGTERM, handler := lambda *args: seen.append(args[0]))
exit_before = sys.exit
run = tracelet.start_logging("chain")
assert sys.excepthook is not mine and signal.getsignal(signal.SIGTERM) is not handler
signal.raise_signal(signal.SIGTERM)
assert seen == [15]
tracelet.stop_logging()
assert sys.excepthook is mine and signal.getsignal(signal.SIGTERM) is handler and sys.exit is exit_before
tracelet.start_logging("again")
raise ValueError
"""
    )
    assert done.stdout == "hook ValueError\n", done.stderr
    ends = {}
    for run in (folder / "runs").iterdir():
        view = primary(run)
        ends[view.payloads("runStarted")[0]["run"]["name"]] = view.payloads("runFinished")[0]["status"]
    assert ends == {"chain": "killed", "again": "failed"}


def test_an_ignored_sigterm_stays_ignored(script: Any) -> None:
    done = script.run(
        """
import signal, tracelet
signal.signal(signal.SIGTERM, signal.SIG_IGN)
run = tracelet.start_logging("ignored")
signal.raise_signal(signal.SIGTERM)
print("alive")
"""
    )
    assert (done.returncode, done.stdout) == (0, "alive\n")


def test_a_run_may_be_started_in_a_thread(folder: Path, script: Any) -> None:
    done = script.run(
        """
import threading, tracelet
t = threading.Thread(target=lambda: tracelet.start_logging("thread").log_metric("loss", 1.0, 0)); t.start(); t.join()
"""
    )
    assert done.returncode == 0, done.stderr
    assert primary(only_run(folder)).payloads("runFinished")[0]["status"] == "finished"


def test_sigterm_in_the_middle_of_records(folder: Path, script: Any) -> None:
    """The handler runs between two instructions of a record; the end record comes behind it, whole."""
    for _ in range(5):
        process = script.start(
            START + "print('ready', flush=True)\ns = 1\nwhile True: run.log_metric('loss', 1.0, s); s += 1"
        )
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == -15
    for run in (folder / "runs").iterdir():
        view = primary(run)
        assert view.events[-1]["payload"]["status"] == "killed"
        assert [step for step, _ in view.points("loss")] == list(range(len(view.points("loss"))))
        assert (view.gap_bytes, view.damaged) == (0, 0)


def test_error_is_at_most_4096_characters(folder: Path) -> None:
    """J5.6"""
    with pytest.raises(ValueError, match="xxx"), tracelet.start_logging("long"):
        raise ValueError("x" * 10_000)
    assert len(primary(only_run(folder)).payloads("runFinished")[0]["error"]) == 4096
