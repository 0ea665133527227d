"""Whether the agent can outlive this process, and if not, why (docs/guides/stopping.md).

The agent has a session of its own, so that a closed terminal, Ctrl-C or the end of a process group do not reach it.
What does is the end of a whole that both belong to: a batch job, a CI job, a container, a service. Whoever guesses
wrong here loses nothing: what is undelivered is kept. So in doubt the answer is the one that waits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

# Variable, and what ends when the process that has it ends.
_BATCH = {
    "SLURM_JOB_ID": "this SLURM job",
    "PBS_JOBID": "this PBS job",
    "LSB_JOBID": "this LSF job",
    "SGE_TASK_ID": "this Grid Engine job",
    "_CONDOR_JOB_AD": "this HTCondor job",
}
_SERVICES = {
    "TRAINING_JOB_NAME": "this SageMaker job",
    "AZUREML_RUN_ID": "this Azure ML job",
    "CLOUD_ML_JOB_ID": "this Vertex AI job",
    "DATABRICKS_RUNTIME_VERSION": "this Databricks cluster",
}
_CI = ("GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "TF_BUILD", "TEAMCITY_VERSION", "JENKINS_URL")
_NOTEBOOKS = {"COLAB_": "this Colab session", "KAGGLE_": "this Kaggle session"}

# include/linux/proc_ns.h, PROC_PID_INIT_INO: the name space that is not inside of another one.
_FIRST_PID_SPACE = "pid:[4026531836]"
# A process 1 by one of these names goes on for as long as the machine does (LXC, WSL); tini or a shell does not.
_INITS = ("systemd", "init")
# What waits for the program that it has started, and then ends itself.
_SHELLS = ("sh", "bash", "dash", "ash", "zsh", "ksh", "fish")
_LAUNCHERS = ("accelerate", "conda", "deepspeed", "horovodrun", "make", "mpiexec", "mpirun", "poetry", "torchrun", "uv")
_WRAPPERS = frozenset((*_SHELLS, *_LAUNCHERS, "env", "nice", "nohup", "stdbuf", "time", "timeout", "xargs"))
_SYSTEMCTL_SECONDS = 2.0
_ANCESTORS_MAX = 64


def why_not() -> str:
    """Returns what ends together with this process and takes the agent along (`this CI job`); `""` for nothing."""
    return _by_environment() or _by_process_tree() or _by_service()


def _by_environment() -> str:
    environment = os.environ
    for table in (_BATCH, _SERVICES):
        for name, what in table.items():
            if environment.get(name):
                return what
    if environment.get("CI", "").strip().lower() not in ("", "0", "false") or any(map(environment.get, _CI)):
        return "this CI job"
    for prefix, what in _NOTEBOOKS.items():
        if any(name.startswith(prefix) for name in environment):
            return what
    return ""


def _by_process_tree() -> str:
    """A container ends with its process 1: this one, or one above it that may be waiting for it.

    Whoever came in from outside (`docker exec`, a login) has nobody above, and leaves the container running.
    """
    if os.getpid() == 1:
        return "this container (its process 1 is this one)"
    if not _is_container():
        return ""
    if os.getppid() != 1 and 1 not in (pid for pid, _ in _ancestors()):
        return ""
    first = _name(1)
    if first in _INITS or first.startswith("init("):
        return ""
    return f"this container (its process 1, {first or 'unknown'}, is above this one)"


def _is_container() -> bool:
    """Whether the processes here are a name space of their own, which ends with its process 1."""
    try:
        return os.readlink("/proc/self/ns/pid") != _FIRST_PID_SPACE
    except OSError:
        return any(os.path.exists(mark) for mark in ("/.dockerenv", "/run/.containerenv"))


def _by_service() -> str:
    """A systemd service is killed as a whole (`KillMode=control-group`) when its main process ends."""
    unit = _service()
    if not unit:
        return ""
    mine = _control_group(os.getpid())
    for pid, name in _ancestors():
        if _control_group(pid) != mine:
            break
        if name not in _WRAPPERS and not name.startswith("python"):
            return ""  # cron, sshd, a notebook server: it stays when this process ends.
    return f"the service {unit}" if _kill_mode(unit, "/user@" in mine) not in ("process", "none") else ""


def _service() -> str:
    """The name of the systemd service that this process belongs to, else `""`. A scope ends with its last process."""
    unit = _control_group(os.getpid()).rstrip("/").rpartition("/")[2]
    return unit if unit.endswith(".service") and not unit.startswith("user@") else ""


def _control_group(pid: int) -> str:
    """The path of a process's control group: systemd's own tree, else the unified one."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return ""
    paths = {fields[1]: fields[2] for fields in lines if len(fields) == 3}
    return paths.get("name=systemd") or paths.get("") or ""


def _kill_mode(unit: str, is_user: bool) -> str:
    """Asks systemd; `""` when it cannot be asked. Only at the end of a run, and only in a service."""
    import shutil
    import subprocess

    program = shutil.which("systemctl")
    if program is None:
        return ""

    command = [program, *(["--user"] if is_user else []), "show", "--property=KillMode", "--value", unit]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SYSTEMCTL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _ancestors() -> Iterator[tuple[int, str]]:
    """The processes above this one, nearest first, with their names."""
    pid = os.getppid()
    for _ in range(_ANCESTORS_MAX):
        if pid < 1:
            return  # Above is a process of another name space.
        name = _name(pid)
        yield pid, name
        pid = _parent(pid)


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
