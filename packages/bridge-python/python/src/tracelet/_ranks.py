"""Which rank this process is, and the run that the ranks of one job share (docs: README, "Several ranks").

A job is known by what its launcher gives to all of its ranks and to nobody else: `TRACELET_RUN_ID`, a SLURM step, an
elastic id, or being started by one process of this host. Each rank is a primary writer of the run.

A process may find out in the middle of its run that it is rank 0, and start the others itself: so does Lightning's
`ddp`. It leaves its run in the environment, where the ranks it starts find it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from ._ids import boot_id, host_name, is_id, new_run_id
from ._refusals import warn

# The run that is under way in a process that may start ranks: its number, when it began, the run.
_LAUNCHER = "TRACELET_LAUNCHER"

_LOCAL_ADDRESSES = ("", "localhost", "127.0.0.1", "::1")

# How many runs this process has begun: the ranks of a job begin their runs in the same order.
_ordinal = 0
_is_warned = False


def rank(environment: Mapping[str, str] = os.environ) -> int | None:
    """Returns this process's rank when the job has several, else None.

    That is `RANK` (else `LOCAL_RANK` on a single host) where `WORLD_SIZE` is above 1, and `SLURM_PROCID` in a step of
    several tasks.
    """
    if _number(environment, "WORLD_SIZE") > 1:
        number = _number(environment, "RANK")
        if number < 0 and _is_local(environment):
            number = _number(environment, "LOCAL_RANK")
        if number >= 0:
            return number
    if _is_slurm_step(environment):
        number = _number(environment, "SLURM_PROCID")
        return number if number >= 0 else None
    return None


def next_run_id() -> str:
    """Returns the id of the next run of this process: random, or the one that all ranks of the job come to."""
    global _ordinal
    ordinal, _ordinal = _ordinal, _ordinal + 1
    given = os.environ.get("TRACELET_RUN_ID", "").strip()
    if given:
        name = given if ordinal == 0 else f"{given[:56]}-{ordinal + 1}"
        if is_id(name):
            return name
        _warn_once(
            f"TRACELET_RUN_ID={given[:80]!r} was passed over: 1 to 64 letters, digits, - and _ are wanted, "
            "beginning with a letter or a digit"
        )
    number = rank()
    if number is None:
        return new_run_id()
    launched = _run_of_launcher(os.environ) if number > 0 and ordinal == 0 else None
    if launched is not None:
        return launched
    import hashlib

    return hashlib.sha256("\0".join((*_job(os.environ), str(ordinal))).encode("utf-8")).hexdigest()[:32]


def announce(run: str) -> None:
    """Lets ranks that this process starts from now on join its run."""
    os.environ[_LAUNCHER] = " ".join((str(os.getpid()), _start_time(os.getpid()), run))


def withdraw(run: str) -> None:
    """The run has ended: ranks that are started from now on record one of their own."""
    if os.environ.get(_LAUNCHER, "").endswith(f" {run}"):
        os.environ.pop(_LAUNCHER, None)


def _run_of_launcher(environment: Mapping[str, str]) -> str | None:
    """The run that was under way in the process that started this one, when it started it."""
    parent = os.getppid()
    begun, _, run = environment.get(_LAUNCHER, "").rpartition(" ")
    return run if begun == f"{parent} {_start_time(parent)}" and is_id(run) else None


def _job(environment: Mapping[str, str]) -> tuple[str, ...]:
    """What names the job: the same in all of its ranks."""
    elastic = environment.get("TORCHELASTIC_RUN_ID", "").strip()
    if elastic == "none":  # torchrun's default, which says nothing
        elastic = ""
    if _is_slurm_step(environment):
        cluster = environment.get("SLURM_CLUSTER_NAME", "")
        return "slurm", cluster, environment["SLURM_JOB_ID"], environment["SLURM_STEP_ID"], elastic
    if elastic:
        # A job that is restarted keeps its id, and so its run. An id that people use again and again (`--rdzv-id=1`)
        # must not join their runs: where all ranks are on this host, whoever started them is part of the name.
        is_on_one_host = _number(environment, "WORLD_SIZE") == _number(environment, "LOCAL_WORLD_SIZE")
        return "elastic", elastic, *(_launcher() if is_on_one_host else ())
    if not _is_local(environment):
        _warn_once(
            "this job has ranks on several hosts and nothing that names it, so each host records a run of its own: "
            "set TRACELET_RUN_ID to one text for all of its ranks, and to another one for every job"
        )
    return "local", *_launcher()


def _launcher() -> tuple[str, ...]:
    """The process that started this one. Its start time tells it from an earlier process of the same number."""
    parent = os.getppid()
    return host_name(), boot_id(), str(parent), _start_time(parent)


def _start_time(pid: int) -> str:
    """When a process began, in clock ticks since the boot; `""` where that cannot be read."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The second field, the name in parentheses, may hold anything; field 22 is the 20th behind it (proc(5)).
            return file.read().rpartition(b")")[2].split()[19].decode("ascii")
    except (OSError, IndexError):
        return ""


def _is_local(environment: Mapping[str, str]) -> bool:
    """Whether all ranks are on this host, as far as the launcher says."""
    here = _number(environment, "LOCAL_WORLD_SIZE")
    if here > 0:
        return here == _number(environment, "WORLD_SIZE")
    return environment.get("MASTER_ADDR", "").strip().lower() in (*_LOCAL_ADDRESSES, host_name().lower())


def _is_slurm_step(environment: Mapping[str, str]) -> bool:
    """Whether `srun` started this process as one of several. In a batch script itself there is one, whatever
    `SLURM_NTASKS` says."""
    is_step = bool(environment.get("SLURM_JOB_ID")) and bool(environment.get("SLURM_STEP_ID"))
    return is_step and _number(environment, "SLURM_STEP_NUM_TASKS") > 1


def _number(environment: Mapping[str, str], name: str) -> int:
    try:
        return int(environment.get(name, ""))
    except ValueError:
        return -1


def _warn_once(sentence: str) -> None:
    global _is_warned
    if not _is_warned:
        _is_warned = True
        warn(sentence)
