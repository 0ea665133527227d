"""What a program calls: start, stop, and what there is."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ._active import get_active
from ._experiment import Experiment
from ._refusals import describe, warn
from ._status import Outcome
from .settings import INSTALLED, TraceletSettings

if TYPE_CHECKING:
    from types import FrameType

    from ._delivery import Wait


def start_logging(
    exp_name: str | None = None,
    project: str | None = None,
    backend: str | Iterable[str] | None = None,
    api_key: str | None = None,
    backend_url: str | None = None,
    config: Mapping[str, object] | None = None,
) -> Experiment:
    """Begins a run and returns it; a run that is going on is stopped first. Also a context manager:

        with tracelet.start_logging("baseline", project="digits") as run:
            run.log({"loss": 0.5}, step=0)

    An argument that is left out is taken from the environment (`TRACELET_PROJECT` and so on), else from a file `.env`.

    Args:
        exp_name: the run's name; default `run-` and the first 8 characters of its id.
        project: what groups runs that are meant to be compared; default `default`.
        backend: where the run goes: a name, several with commas between them, or a list; default `local`, the
            database beside the journal. `none` records nothing.
        api_key: the key or token for those backends that want one; never written to the disk.
        backend_url: the address of the backend's server; a user and a password in it are never written to the disk.
        config: any field of `TraceletSettings` by its name, `tags`, `parent` (a run or its id), `resume` (the
            same, of an earlier run to go on with), and for each backend a dictionary under its name.

    Returns:
        The run, an `Experiment`. It never raises for what the caller passed or for what the machine lacks.
    """
    active = get_active()
    if active is not None:
        active.stop()
    if config is not None and not isinstance(config, Mapping):
        warn(f"config must be a dictionary, and was passed over: {describe(config)}")
        config = None
    given: dict[str, object] = {str(key): value for key, value in (config or {}).items()}
    arguments = {
        "experiment_name": exp_name,
        "project": project,
        "backend": backend,
        "api_key": api_key,
        "backend_url": backend_url,
    }
    given.update((key, value) for key, value in arguments.items() if value is not None)
    tags, parent, resume = (given.pop(key, None) for key in ("tags", "parent", "resume"))
    settings = TraceletSettings(**given)
    run = Experiment(settings=settings, tags=tags, parent=parent, resume=resume)  # type: ignore[arg-type]  # checked there
    return run.start()


def stop_logging(wait: Wait | None = None, timeout: float | None = None) -> None:
    """Ends the run that is going on, if there is one. In a `finally` during an exception the run has failed.

    Args:
        wait: `"auto"` hands over to the agent where that may outlive this process, and else (container, batch
            scheduler, CI, notebook service) waits until all is delivered; True waits, False does not, a number is how
            many seconds to wait at most. Default: the setting `stop_wait`, which is `"auto"`.
        timeout: the longest wait in seconds; default: the setting `stop_timeout`, 300.
    """
    active = get_active()
    if active is None:
        return
    outcome = _in_flight(sys._getframe(1))
    if outcome is None:
        active.stop(wait, timeout)
    else:
        active.finish(outcome, wait, timeout)


def _in_flight(caller: FrameType) -> Outcome | None:
    """Returns what the exception that `caller` itself is handling makes of the run; None when it handles none.

    An exception that is handled further up says nothing: `except ImportError: main()` runs all of a program.
    """
    error = sys.exc_info()[1]
    if error is None or error.__traceback__ is None or error.__traceback__.tb_frame is not caller:
        return None
    return Outcome.of_exception(error)


def get_active_experiment() -> Experiment | None:
    """Returns the run that is going on, or None."""
    return get_active()


def available_backends() -> list[str]:
    """Returns the names of the backends that this version brings.

    Others may be named all the same: what is recorded is kept for them, and delivered once their plugin is there.
    """
    return list(INSTALLED)


def available_frameworks() -> list[str]:
    """Returns the frameworks that can be recorded and are installed here; none of them is imported."""
    from ._hooks import installed_frameworks

    return installed_frameworks()
