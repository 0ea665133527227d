"""Whether the agent can outlive this process: docs/guides/stopping.md. The agents here are the test's own programs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import tracelet._outlive
from tracelet._delivery import parse_wait
from tracelet._outlive import why_not

# Processes of the machine's first name space, outside of any service: what a login shell has.
PLAIN = {"_is_container": lambda: False, "_service": lambda: ""}
VARIABLES = {
    **dict.fromkeys(("CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL"), "CI job"),
    "SLURM_JOB_ID": "SLURM job",
    "PBS_JOBID": "PBS job",
    "LSB_JOBID": "LSF job",
    "SGE_TASK_ID": "Grid Engine job",
    "COLAB_GPU": "Colab session",
    "KAGGLE_KERNEL_RUN_TYPE": "Kaggle session",
    "TRAINING_JOB_NAME": "SageMaker job",
    "AZUREML_RUN_ID": "Azure ML job",
}


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, answer in PLAIN.items():
        monkeypatch.setattr(tracelet._outlive, name, answer)


@pytest.mark.parametrize("name", VARIABLES)
def test_auto_waits_where_the_agent_would_be_killed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert why_not() == ""
    assert parse_wait("auto", None, 300) == (None, "")
    monkeypatch.setenv(name, "true")
    assert why_not() == f"this {VARIABLES[name]}"
    assert parse_wait("auto", None, 300) == (300, f"since the agent ends with this {VARIABLES[name]}")
    assert parse_wait("auto", 7, 300)[0] == 7
    assert parse_wait(False, None, 300)[0] is None
    assert parse_wait("never", None, 300)[0] is None
    assert parse_wait(True, None, 300) == (300, "as asked")
    assert parse_wait(2, None, 300)[0] == 2
    monkeypatch.setenv(name, "")
    monkeypatch.delenv(name)
    assert why_not() == ""


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_not_in_ci(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CI", value)
    assert why_not() == ""


# (process 1, the processes above this one) -> whether the agent ends with this one
TREES: list[tuple[str, list[tuple[int, str]], bool]] = [
    ("bash", [(7, "torchrun"), (1, "bash")], True),
    ("tini", [(1, "tini")], True),
    ("sleep", [(7, "bash")], False),  # docker exec: nobody above the shell
    ("systemd", [(7, "bash"), (1, "systemd")], False),  # LXC, WSL
    ("init(Ubuntu)", [(7, "bash"), (1, "init(Ubuntu)")], False),
]


@pytest.mark.parametrize(("first", "above", "ends"), TREES)
def test_a_container_ends_with_its_process_1(
    monkeypatch: pytest.MonkeyPatch, first: str, above: list[tuple[int, str]], ends: bool
) -> None:
    monkeypatch.setattr(tracelet._outlive, "_is_container", lambda: True)
    monkeypatch.setattr(tracelet._outlive, "_ancestors", lambda: iter(above))
    monkeypatch.setattr(tracelet._outlive, "_name", lambda pid: first)
    monkeypatch.setattr(os, "getppid", lambda: above[0][0])
    assert bool(why_not()) == ends
    assert (first in why_not()) == ends
    monkeypatch.setattr(tracelet._outlive, "_is_container", lambda: False)
    assert why_not() == ""


# (names above this one in the service, systemd's answer) -> whether the agent ends with this one
SERVICES: list[tuple[list[str], str, bool]] = [
    ([], "control-group", True),
    (["bash"], "mixed", True),
    (["python3.11", "sh"], "", True),  # systemd cannot be asked
    ([], "process", False),
    ([], "none", False),
    (["sh", "cron"], "control-group", False),
    (["jupyter-lab"], "control-group", False),
]


@pytest.mark.parametrize(("above", "mode", "ends"), SERVICES)
def test_a_service_is_killed_as_a_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, above: list[str], mode: str, ends: bool
) -> None:
    """By the processes between this one and the service's first, and by what systemd says of KillMode."""
    names = dict(enumerate(above, 100))
    monkeypatch.setattr(tracelet._outlive, "_service", lambda: "train.service")
    monkeypatch.setattr(tracelet._outlive, "_ancestors", lambda: iter([*names.items(), (1, "systemd")]))
    monkeypatch.setattr(tracelet._outlive, "_control_group", lambda pid: "/" if pid == 1 else "/x/train.service")
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n{"echo " + mode if mode else "exit 1"}\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert why_not() == ("the service train.service" if ends else "")
    if (tmp_path / "calls").exists():
        assert (tmp_path / "calls").read_text() == "show --property=KillMode --value train.service\n"


def test_control_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scope ends when its last process does; `user@` is the user's own systemd, not a service of ours."""
    monkeypatch.undo()
    for group, service in {
        "/system.slice/train.service": "train.service",
        "/user.slice/user-0.slice/session-3.scope": "",
        "/user.slice/user-0.slice/user@0.service": "",
        "/user.slice/user-0.slice/user@0.service/app.slice/train.service": "train.service",
        "/": "",
    }.items():
        monkeypatch.setattr(tracelet._outlive, "_control_group", lambda pid, group=group: group)
        assert tracelet._outlive._service() == service


# An agent that takes a while to deliver what is there, and writes down when it has. It answers as agent.md says.
SLOW_AGENT = """
import json, os, sys, threading, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_agent import FakeAgent
folder = Path(sys.argv[sys.argv.index("--dir") + 1])
(folder / "agent.pid").write_text(str(os.getpid()))
agent = FakeAgent(folder, folder / "s")
agent.state = {{"drained": False, "backends": {{"local": {{"delivered": 1, "pending": 1, "state": "delivering"}}}}}}
time.sleep({seconds})
(folder / "delivered").write_text("all")
agent.state["drained"] = True
time.sleep(5)
"""


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment in which a trainer starts an agent that delivers within 2.5 s and leaves after 5 more."""
    program = tmp_path / "agent.py"
    program.write_text(SLOW_AGENT.format(tests=str(Path(__file__).parent), seconds=2.5))
    node = tmp_path / "node"
    version = '[ "$1" = --version ] && { echo v22.19.1; exit; }'
    node.write_text(f'#!/bin/sh\n{version}\nshift\nexec {sys.executable} {program} "$@" 2>>{tmp_path}/agent.log\n')
    node.chmod(0o755)
    package = tmp_path / "site" / "tracelet"
    shutil.copytree(Path(tracelet._outlive.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "_agent").mkdir(exist_ok=True)
    (package / "_agent" / "start.cjs").write_text("")
    return {
        "TRACELET_AGENT": "",
        "TRACELET_NODE": str(node),
        "PYTHONPATH": f"{package.parent}:{Path(__file__).parent}",
    }


TRAINER = """
import tracelet
run = tracelet.start_logging("contained")
for step in range(1000):
    run.log_metric("loss", float(step), step)
{end}
"""


def wait_until(condition: Any, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def own_name_space() -> list[str]:
    """The command that runs another as process 1 of a name space, which ends with it."""
    command = ["unshare", "-pf", "--mount-proc"]
    if shutil.which(command[0]) is None or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("a PID name space is not allowed here")
    return command


@pytest.mark.parametrize("above", ["", "sh"], ids=["process 1", "below a shell"])
def test_as_process_1_of_a_name_space(folder: Path, tmp_path: Path, slow: dict[str, str], above: str) -> None:
    """The end of process 1 kills all there is in its name space: the agent has delivered before."""
    unshare = ["unshare", "-pf", "--mount-proc"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("a PID name space is not allowed here")
    program = tmp_path / "trainer.py"
    program.write_text(TRAINER.format(end="tracelet.stop_logging()"))
    wrapper = ["sh", "-c", '"$@"; exit $?', "sh"] if above else []
    began = time.monotonic()
    done = subprocess.run(
        [*unshare, *wrapper, sys.executable, str(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **slow},
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "delivered").exists(), done.stderr
    assert 2 < time.monotonic() - began < 20
    assert "delivering contained: local 1 of 2" in done.stderr
    assert "since the agent ends with this container (its process 1" in done.stderr


def test_sigterm_to_process_1_drains_within_its_deadline(folder: Path, tmp_path: Path, slow: dict[str, str]) -> None:
    unshare = ["unshare", "-pf", "--mount-proc", "--kill-child=SIGTERM"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("a PID name space is not allowed here")
    program = tmp_path / "trainer.py"
    program.write_text(TRAINER.format(end="import time\nprint('ready', flush=True)\ntime.sleep(30)"))
    process = subprocess.Popen(
        [*unshare, sys.executable, str(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **slow, "TRACELET_SIGTERM_TIMEOUT": "0.5"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert wait_until(lambda: (folder / "agent.pid").exists())
    (trainer,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    began = time.monotonic()
    os.kill(int(trainer), signal.SIGTERM)
    try:
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 143
    assert time.monotonic() - began < 8
    assert f"all of it is kept in {folder}, and `tracelet sync {folder}` delivers it" in errors


@pytest.mark.parametrize("whole", ["group", "session"])
def test_the_end_of_a_group_or_a_session_does_not_reach_the_agent(
    folder: Path, tmp_path: Path, slow: dict[str, str], whole: str
) -> None:
    """Killed as a whole right after `stop_logging` has handed over."""
    end = "import os, time\ntracelet.stop_logging(wait=False)\nprint('over', flush=True)\ntime.sleep(30)"
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINER.format(end=end)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **slow},
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "over\n"
        assert not (folder / "delivered").exists()
        session = os.getsid(process.pid)
    finally:
        if whole == "group":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            for name in os.listdir("/proc"):
                if name.isdigit() and _session(int(name)) == session:
                    os.kill(int(name), signal.SIGKILL)
        process.communicate(timeout=10)
    assert wait_until(lambda: (folder / "delivered").exists()), (tmp_path / "agent.log").read_text()


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def test_the_end_of_a_control_group(folder: Path, tmp_path: Path, slow: dict[str, str]) -> None:
    """What systemd does to a service: all that is in its control group is killed when its main process has ended."""
    root = next(
        (path for path in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup") if Path(path, "cgroup.procs").exists()), None
    )
    group = Path(root or "/nonexistent", f"tracelet-{os.getpid()}.service")
    try:
        group.mkdir()
    except OSError:
        pytest.skip("a control group cannot be made here")
    try:
        program = tmp_path / "trainer.py"
        enter = f"import os\nopen({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
        program.write_text(enter + TRAINER.format(end="tracelet.stop_logging()"))
        done = subprocess.run(
            [sys.executable, str(program)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, **slow, "PATH": "/nonexistent"},
        )
        for pid in (group / "cgroup.procs").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        if "Permission" in done.stderr or "OSError" in done.stderr:
            pytest.skip("a process cannot be moved to a control group here")
        assert (folder / "delivered").exists(), done.stderr
        assert f"since the agent ends with the service {group.name}" in done.stderr
    finally:
        assert wait_until(lambda: not (group / "cgroup.procs").read_text().strip())
        group.rmdir()
