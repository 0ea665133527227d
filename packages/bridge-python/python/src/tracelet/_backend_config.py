"""What a run's backends are configured with, from all places that may say it, and which part of it may be written down.

For each key: what the program gave beats variables, these beat `.env`. A backend of the generated table gets its own
keys; what another one is given is passed on as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from ._backends import BACKENDS
from ._config_key import Backend
from ._payload import Json, NotJson, to_json
from ._refusals import warn
from .settings import TraceletSettings, read_dotenv, suggest

# In the config of a backend that is not in the table, where only the name can tell.
_SECRET_KEY = re.compile(
    r"(api_?-?key|token|password|passwd|secret|credential|private_?-?key|access_?-?key|authorization)", re.I
)
# user:password@ in a URL; the last @ counts, since a password may hold one
_URL_USER = re.compile(r"^([a-z][a-z0-9+.-]*://)([^/?#\s]+)@", re.I)

Configs = dict[str, dict[str, Json]]
Secrets = dict[str, dict[str, str]]


def configure(settings: TraceletSettings, names: list[str]) -> tuple[Configs, Secrets]:
    """Returns configuration that may be written down, and secrets that may not, both by the backend's name."""
    configs: Configs = {}
    secrets: Secrets = {}
    for name in names:
        backend = BACKENDS.get(name)
        hidden: dict[str, str] = {}
        if backend is None:
            configs[name] = _of_unknown(settings, name, hidden)
        else:
            configs[name] = _of_known(settings, name, backend, hidden)
        if hidden:
            secrets[name] = hidden
    return configs, secrets


def _of_unknown(settings: TraceletSettings, name: str, hidden: dict[str, str]) -> dict[str, Json]:
    if settings.api_key:
        hidden["api_key"] = settings.api_key
    if settings.backend_url:
        hidden["backend_url"] = settings.backend_url
    return _public(settings.backend_config.get(name, {}), "", hidden)


def _of_known(settings: TraceletSettings, name: str, backend: Backend, hidden: dict[str, str]) -> dict[str, Json]:
    values = _given(settings, name, backend)
    for variables in (os.environ, read_dotenv()):
        _fill(backend, values, variables)
    _take_user_apart(backend, values, hidden)
    missing = [key for key, known in backend.keys.items() if known.is_required and key not in {*values, *hidden}]
    for key in missing:
        if not backend.keys[key].is_secret:  # Another host may have a secret.
            variables_of_it = " or ".join(reversed(backend.keys[key].variables))
            warn(
                f"backend {name} needs {key}{f': set {variables_of_it}' if variables_of_it else ''}"
                f"{', or pass backend_url' if key == backend.address else ''}"
            )
    shown: dict[str, object] = {}
    for key, value in values.items():
        if backend.keys[key].is_secret:
            hidden[key] = str(value)
        else:
            shown[key] = value
    public: dict[str, Json] = {}
    for key, value in shown.items():
        text = value if isinstance(value, str) else ""
        if _URL_USER.match(text):
            hidden[key] = text
            public[key] = _URL_USER.sub(r"\1", text)
        else:
            _add_json(public, key, value, f"{name}.{key}")
    return public


def _given(settings: TraceletSettings, name: str, backend: Backend) -> dict[str, object]:
    """Returns what the program itself said, under the backend's keys."""
    values: dict[str, object] = {}
    unknown: list[str] = []
    for written, value in settings.backend_config.get(name, {}).items():
        key = _key_of(written, backend)
        if key not in backend.keys:
            unknown.append(suggest(f"{name}.{written}", [f"{name}.{known}" for known in backend.keys]))
        elif value is not None:
            values[key] = value
    if unknown:
        warn(f"unknown setting{'s' if len(unknown) > 1 else ''}: {', '.join(unknown)}")
    for setting, key, value in (
        ("backend_url", backend.address, settings.backend_url),
        ("api_key", backend.credential, settings.api_key),
    ):
        if setting in settings.given and value and key:
            values.setdefault(key, value)
    return values


def _key_of(written: str, backend: Backend) -> str:
    """Returns the key that `tracking_uri`, `trackingUri` or `backend_url` means."""
    common = {"backend_url": backend.address, "api_key": backend.credential}
    head, *rest = (common.get(written) or written).split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def _fill(backend: Backend, values: dict[str, object], variables: Mapping[str, str]) -> None:
    """Adds what variables give for keys that have no value yet."""
    before = set(values)
    for name, key in backend.keys.items():
        if name in before or backend.is_ruled_out(name, before):
            continue
        text = next((variables[variable] for variable in key.variables if variables.get(variable)), None)
        if text is not None:
            values[name] = key.from_text(text)


def _take_user_apart(backend: Backend, values: dict[str, object], hidden: dict[str, str]) -> None:
    """Takes `user:password@` out of the address. Both are secrets: what stands there as a user may be a token."""
    address = values.get(backend.address)
    match = _URL_USER.match(address) if isinstance(address, str) else None
    if match is None or not {"username", "password"} <= set(backend.keys):
        return
    from urllib.parse import unquote

    values[backend.address] = _URL_USER.sub(r"\1", str(address))
    user, _, password = match[2].partition(":")
    for key, text in (("username", user), ("password", password)):
        if text and key not in values:
            hidden[key] = unquote(text)


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
            _add_json(public, key, value, where)
    return public


def _add_json(public: dict[str, Json], key: str, value: object, where: str) -> None:
    try:
        public[key] = to_json(value)
    except NotJson as error:
        warn(f"the setting {where} is left out: {error}")
