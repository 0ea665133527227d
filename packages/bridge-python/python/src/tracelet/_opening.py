"""The first record of a run, `runStarted` (docs/spec/journal.md J5.5)."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from ._backends import BACKENDS
from ._ids import is_id
from ._payload import Json
from ._ranks import rank
from ._refusals import warn
from ._trace import current_trace
from .settings import INSTALLED, OTHERS, TraceletSettings


def backend_names(settings: TraceletSettings) -> list[str]:
    """Returns the names of the run's backends; one that cannot be a name (J1.1) is said and left out."""
    names: list[str] = []
    for name in settings.backend or ["local"]:
        if not is_id(name):
            warn(f"{name[:80]!r} cannot be the name of a backend; it is left out")
            continue
        if name not in INSTALLED:
            warn(
                f"{'' if name in OTHERS else 'unknown '}backend {name!r} does not come with this version, which "
                f"brings {', '.join(INSTALLED)}: what is recorded is kept for it, "
                "and can be delivered once its plugin is there"
            )
        names.append(name)
    return names


def run_started(
    *,
    time: float,
    run: str,
    project: str,
    name: str,
    tags: Mapping[str, str],
    names: list[str],
    configs: Mapping[str, Json],
    version: str,
    origin: Mapping[str, Json],
    parent: str | None = None,
) -> dict[str, Json]:
    """Returns the payload of `runStarted`. A backend that comes separately has no version: who delivers knows it."""
    backends: list[Json] = [
        {
            "name": backend,
            "plugin": f"backend.{backend}",
            "version": BACKENDS[backend].version if backend in BACKENDS else "",
            "config": configs.get(backend, {}),
        }
        for backend in names
    ]
    payload: dict[str, Json] = {
        "time": time,
        "run": {"id": run, "project": project, "name": name, "tags": dict(tags)},
        "backends": backends,
        "client": {"language": "python", "version": sys.version.split()[0], "tracelet": version},
        "origin": dict(origin),
    }
    if parent is not None:
        payload["parent"] = parent
    number = rank()
    if number is not None:
        payload["rank"] = number
    trace = current_trace()
    if trace is not None:
        payload["trace"] = trace
    return payload
