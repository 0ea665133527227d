"""The first record of a run, `runStarted` (docs/spec/journal.md J5.5), and the secrets that are kept out of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping

from ._ids import is_id
from ._payload import Json, NotJson, to_json
from ._ranks import rank
from ._refusals import warn
from ._trace import current_trace
from .settings import BACKENDS, INSTALLED, TraceletSettings

_SECRET_KEY = re.compile(
    r"(api_?-?key|token|password|passwd|secret|credential|private_?-?key|access_?-?key|authorization)", re.I
)
# user:password@ in a URL
_URL_USER = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/@\s]+@", re.I)


def backend_names(settings: TraceletSettings) -> list[str]:
    """Returns the names of the run's backends; one that cannot be a name (J1.1) is said and left out."""
    names: list[str] = []
    for name in settings.backend or ["local"]:
        if not is_id(name):
            warn(f"{name[:80]!r} cannot be the name of a backend; it is left out")
            continue
        if name not in INSTALLED:
            warn(
                f"{'' if name in BACKENDS else 'unknown '}backend {name!r} does not come with this version, which "
                f"brings {', '.join(INSTALLED)}: what is recorded is kept for it, "
                "and can be delivered once its plugin is there"
            )
        names.append(name)
    return names


def split_secrets(settings: TraceletSettings, names: list[str]) -> tuple[dict[str, Json], dict[str, dict[str, str]]]:
    """Returns configuration that may be written down, and secrets that may not, both by the backend's name.

    A secret is `api_key`, `backend_url` (it may hold a password), and what a key of the configuration calls one.
    """
    configs: dict[str, Json] = {}
    secrets: dict[str, dict[str, str]] = {}
    for name in names:
        hidden: dict[str, str] = {}
        if name != "local":
            if settings.api_key:
                hidden["api_key"] = settings.api_key
            if settings.backend_url:
                hidden["backend_url"] = settings.backend_url
        configs[name] = _public(settings.backend_config.get(name, {}), "", hidden)
        if hidden:
            secrets[name] = hidden
    return configs, secrets


def _public(fields: Mapping[str, object], path: str, hidden: dict[str, str]) -> dict[str, Json]:
    """Returns the fields without secrets, which are put into `hidden` under their path, joined by dots."""
    public: dict[str, Json] = {}
    for key, value in fields.items():
        where = f"{path}{key}"
        if _SECRET_KEY.search(key):
            if value is not None:
                hidden[where] = str(value)
        elif isinstance(value, Mapping):
            public[key] = _public({str(inner): item for inner, item in value.items()}, f"{where}.", hidden)
        elif isinstance(value, str) and _URL_USER.match(value):
            hidden[where] = value
            public[key] = _URL_USER.sub(r"\1", value)
        else:
            try:
                public[key] = to_json(value)
            except NotJson as error:
                warn(f"the setting {where} is left out: {error}")
    return public


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
) -> dict[str, Json]:
    """Returns the payload of `runStarted`. A backend that comes separately has no version: who delivers knows it."""
    backends: list[Json] = [
        {
            "name": backend,
            "plugin": f"backend.{backend}",
            "version": version if backend in INSTALLED else "",
            "config": configs.get(backend, {}),
        }
        for backend in names
    ]
    payload: dict[str, Json] = {
        "time": time,
        "run": {"id": run, "project": project, "name": name, "tags": dict(tags)},
        "backends": backends,
        "client": {"language": "python", "version": sys.version.split()[0], "tracelet": version},
    }
    number = rank()
    if number is not None:
        payload["rank"] = number
    trace = current_trace()
    if trace is not None:
        payload["trace"] = trace
    return payload
