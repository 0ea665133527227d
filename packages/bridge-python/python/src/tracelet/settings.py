"""Settings: arguments beat `TRACELET_*` variables, variables beat a `.env` file, that beats the defaults.

A setting of which nothing can be made is said once and left at the next best; nothing here raises for what a user
wrote.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Callable

from ._backends import BACKENDS
from ._refusals import describe, warn

DEFAULT_BACKEND = "local"
# What this version delivers to by itself, and names that are no misspelling: their plugins come separately.
INSTALLED = tuple(BACKENDS)
OTHERS = tuple(name for name in ("mlflow", "clearml", "wandb", "aim") if name not in BACKENDS)

# Variables that are no settings of a run but are read elsewhere.
_OTHER_VARIABLES = (
    *("AGENT", "ARCHIVE", "DIR", "DISABLED", "NODE", "RETENTION_AGE", "RETENTION_BYTES", "RUN_ID", "WRITER"),
    *("LAUNCHER", "PLUGIN_PATH", "PYTHON", "TORCH_CUDA", "TORCH_INDEX"),
)
_YES = ("1", "true", "yes", "on")
_NO = ("0", "false", "no", "off")
# Accepted, and named in a warning when they are set: nothing samples the system or the environment here.
_WITHOUT_EFFECT = ("track_system", "track_env", "metrics_interval")
_ALIASES = {"project_name": "project", "exp_name": "experiment_name", "track_system_metrics": "track_system"}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is wanted")
    return value


def _optional_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _YES:
        return True
    if isinstance(value, str) and value.strip().lower() in ("", *_NO):
        return False
    raise ValueError("true or false is wanted")


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("a number of seconds is wanted")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError("a number of seconds is wanted") from None
    if not 0 <= number < 1e9:
        raise ValueError("a number of seconds from 0 is wanted")
    return number


def _bytes(value: object) -> int:
    try:
        if isinstance(value, (bool, float)) or not isinstance(value, (int, str)) or int(value) < 0:
            raise ValueError
        return int(value)
    except ValueError:
        raise ValueError("a whole number of bytes is wanted") from None


def _names(value: object) -> list[str]:
    if isinstance(value, str):
        parts: list[object] = list(value.split(","))
    elif isinstance(value, (list, tuple, set, frozenset)):
        parts = list(value)
    else:
        raise ValueError("a name, a comma list or a list of names is wanted")
    names: list[str] = []
    for part in parts:
        name = _text(part).strip()
        if name and name not in names:
            names.append(name)
    return names


def _wait(value: object) -> str:
    word = value.strip().lower() if isinstance(value, str) else value
    if word in ("auto", "always", "never"):
        return str(word)
    try:
        return "always" if _flag(word) else "never"
    except ValueError:
        raise ValueError("auto, always or never (or true or false) is wanted; stop_timeout says how long") from None


# name -> (default, how a value is read); the environment's name is the same in upper case behind TRACELET_.
_FIELDS: dict[str, tuple[object, Callable[[object], object]]] = {
    "project": ("default", _text),
    "experiment_name": (None, _optional_text),
    "backend": ([DEFAULT_BACKEND], _names),
    "api_key": (None, _optional_text),
    "backend_url": (None, _optional_text),
    "track_tensorboard": (True, _flag),
    "track_lightning": (True, _flag),
    "track_system": (True, _flag),
    "track_git": (True, _flag),
    "track_env": (True, _flag),
    "metrics_interval": (10.0, _seconds),
    "stop_wait": ("auto", _wait),
    "stop_timeout": (300.0, _seconds),
    "sigterm_timeout": (20.0, _seconds),
    "artifact_file_bytes": (64 << 30, _bytes),
}


class TraceletSettings:
    """What a run is recorded with.

    Every field may be given by name here (an unknown one is named in a warning), by a variable `TRACELET_<FIELD>`, or
    in a file `.env` of the working directory.

    Attributes:
        project: name of the group of runs; default `default`. Alias `project_name`.
        experiment_name: name of the run; default `run-` and the first 8 characters of its id. Alias `exp_name`.
        backend: names of the backends; default `["local"]`. A comma list is taken apart.
        api_key: the key or token of each backend that takes one; it goes to the agent's memory only.
        backend_url: where each backend's server is; a user and a password in it go to the agent's memory only.
        track_tensorboard: record what `SummaryWriter` is given; default true.
        track_lightning: record what Lightning logs; default true.
        track_system: accepted, but without effect in this version; default true. Alias `track_system_metrics`.
        track_git: record the Git commit, branch and remote that the run was begun with; default true.
        track_env: accepted, but without effect in this version; default true.
        metrics_interval: seconds; accepted, but without effect in this version; default 10.
        stop_wait: whether the end of a run waits until all is delivered: `auto` (the default: where the agent could not
            outlive this process), `always` or `never`.
        stop_timeout: the longest such wait, in seconds; default 300.
        sigterm_timeout: the same after SIGTERM; default 20.
        artifact_file_bytes: the longest file of an artifact that is kept; default 64 GiB. It costs as much disk again,
            where the file system cannot copy by reference.
        backend_config: configuration for each backend, by its name.
        given: names of the fields that were given by name here.
    """

    project: str
    experiment_name: str | None
    backend: list[str]
    api_key: str | None
    backend_url: str | None
    track_tensorboard: bool
    track_lightning: bool
    track_system: bool
    track_git: bool
    track_env: bool
    metrics_interval: float
    stop_wait: str
    stop_timeout: float
    sigterm_timeout: float
    artifact_file_bytes: int

    def __init__(self, **values: object) -> None:
        self.backend_config: dict[str, dict[str, object]] = {}
        given, unknown = _sort_out(values, self.backend_config)
        self.given = frozenset(name for name, value in given.items() if value is not None)
        variables = _variables()
        for name, (default, read) in _FIELDS.items():
            sources: list[tuple[str, object]] = []
            if given.get(name) is not None:
                sources.append((name, given[name]))
            if name in variables:
                sources.append((f"TRACELET_{name.upper()}", variables[name]))
            setattr(self, name, _first_good(sources, default, read))
        idle = [name for name in _WITHOUT_EFFECT if given.get(name) is not None or name in variables]
        if idle:
            warn(f"this version does not act on the setting{'s' if len(idle) > 1 else ''} {', '.join(idle)} yet")
        for name in list(self.backend_config):
            if name not in (*self.backend, *INSTALLED, *OTHERS):
                del self.backend_config[name]
                unknown.append(suggest(name, [*self.backend, *INSTALLED, *OTHERS, *_FIELDS]))
        if unknown:
            warn(f"unknown setting{'s' if len(unknown) > 1 else ''}: {', '.join(unknown)}")

    @property
    def project_name(self) -> str:
        """The same as `project`."""
        return self.project

    @property
    def track_system_metrics(self) -> bool:
        """The same as `track_system`."""
        return self.track_system

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in _FIELDS if name not in ("api_key", "backend_url"))
        return f"TraceletSettings({', '.join(shown)})"


def _sort_out(
    values: Mapping[str, object], backend_config: dict[str, dict[str, object]]
) -> tuple[dict[str, object], list[str]]:
    """Sorts what was given into settings, configuration of backends, and the names of what is neither."""
    given: dict[str, object] = {}
    unknown: list[str] = []
    for key, value in values.items():
        name = _ALIASES.get(key, key)
        if name in _FIELDS:
            given[name] = value
        elif isinstance(value, Mapping) and isinstance(key, str):
            # A dictionary under any other name is the configuration of the backend of that name.
            backend_config[key] = {str(inner): item for inner, item in value.items()}
        else:
            unknown.append(suggest(str(key), [*_FIELDS, *_ALIASES]))
    return given, unknown


def _first_good(sources: list[tuple[str, object]], default: object, read: Callable[[object], object]) -> object:
    for source, value in sources:
        try:
            return read(value)
        except (ValueError, TypeError) as error:
            warn(f"{source}={describe(value)} was passed over: {error}")
    return list(default) if isinstance(default, list) else default


def _variables() -> dict[str, str]:
    """Returns the settings that the environment and `.env` give, by field; a close misspelling is said."""
    environment = {key.upper(): value for key, value in os.environ.items()}
    found: dict[str, str] = {}
    for key, value in {**read_dotenv(), **environment}.items():
        if not key.startswith("TRACELET_"):
            continue
        name = key[len("TRACELET_") :].lower()
        name = _ALIASES.get(name, name)
        if name in _FIELDS:
            if value != "":
                found[name] = value
        elif name.upper() in _OTHER_VARIABLES:
            if key not in environment and value != "":
                _warn_once(f"{key} in .env was passed over: it is no setting of a run, set it in the environment")
        else:
            # Other names may be a plugin's own: only what looks like one of ours is worth a word.
            close = _closest(name.upper(), [*(field.upper() for field in _FIELDS), *_OTHER_VARIABLES], 0.85)
            if close:
                warn(f"unknown variable {key} (did you mean TRACELET_{close}?)")
    return found


def choice(name: str, known: tuple[str, ...]) -> str:
    """Returns the text of a variable that is no setting of a run, in lower case; `""` where it is none of `known`."""
    value = os.environ.get(name, "")
    text = value.strip().lower()
    if text in ("", *known):
        return text
    _warn_once(f"{name}={describe(value)} was passed over: {' or '.join(known)} is wanted")
    return ""


def flag(name: str, default: bool) -> bool:
    """Returns what a variable that is no setting of a run says; any text but a no is a yes."""
    value = os.environ.get(name, "")
    text = value.strip().lower()
    if text not in ("", *_YES, *_NO):
        _warn_once(f"{name}={describe(value)} was taken for on: on or off is wanted")
    return text not in _NO if text else default


_said: set[str] = set()


def _warn_once(sentence: str) -> None:
    if sentence not in _said:
        _said.add(sentence)
        warn(sentence)


def suggest(name: str, known: list[str]) -> str:
    """Returns the name, with the nearest of those that are known."""
    close = _closest(name, known, 0.6)
    return f"{name} (did you mean {close}?)" if close else name


def _closest(name: str, known: list[str], least: float) -> str:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, known, 1, least)), "")


def read_dotenv(path: str = ".env") -> dict[str, str]:
    """Returns the lines `NAME=value` of a file, quotes and a leading `export` taken off; nothing when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read(1 << 20).splitlines()
    except (OSError, ValueError):
        return {}
    values: dict[str, str] = {}
    for line in lines:
        name, separator, value = line.strip().partition("=")
        name = name.strip()
        if name.startswith("export "):
            name = name[7:].strip()
        if not separator or name.startswith("#"):
            continue
        value = value.strip()
        if value[:1] in ("'", '"') and value.find(value[0], 1) > 0:
            value = value[1 : value.find(value[0], 1)]
        else:
            value = value.split(" #", 1)[0].rstrip()
        values[name.upper()] = value
    return values
