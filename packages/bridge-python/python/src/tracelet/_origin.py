"""Where a run was begun: program, user, host and the Git commit it stands on (docs/spec/journal.md J5.5).

Nothing here raises or starts a process: what cannot be found out is left out.
"""

from __future__ import annotations

import os
import sys
from typing import Callable, TypeVar

from . import _git
from ._ids import host_name
from ._payload import Json

T = TypeVar("T")

_TEXT_LENGTH_MAX = 1_024


def origin(*, with_git: bool) -> dict[str, Json]:
    """Returns what is known, as the record has it."""
    found: dict[str, Json] = {}
    program, folder = _or_nothing(_program) or ("", "")
    for key, text in (("program", program), ("user", _or_nothing(_user)), ("host", _or_nothing(host_name))):
        if text:
            # A path may hold bytes that are no text.
            found[key] = text.encode("utf-8", "replace").decode("utf-8")[:_TEXT_LENGTH_MAX]
    commit = _or_nothing(lambda: (folder and _git.find(folder)) or _git.find(os.getcwd())) if with_git else None
    if commit:
        found["git"] = commit
    return found


def _program() -> tuple[str, str]:
    """Returns how the program was called, and the folder it lies in; `""` for what is not known."""
    notebook = os.environ.get("JPY_SESSION_NAME", "") if "ipykernel" in sys.modules else ""
    if notebook:  # Jupyter Server 2 gives its kernels the notebook's path in it.
        return _within_working_directory(notebook), os.path.dirname(os.path.abspath(notebook))
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None) or ""
    spec = getattr(main, "__spec__", None)
    if spec is not None and isinstance(getattr(spec, "name", None), str):
        name = spec.name
        module = name[: -len(".__main__")] if name.endswith(".__main__") else name
        return f"-m {module}", os.path.dirname(os.path.abspath(file)) if file else ""
    argument = sys.argv[0] if getattr(sys, "argv", None) else ""
    path = file or (argument if argument not in ("", "-c", "-") else "")
    return (_within_working_directory(path), os.path.dirname(os.path.abspath(path))) if path else ("", "")


def _within_working_directory(path: str) -> str:
    """Returns the path as one writes it in the working directory, when it lies there."""
    short = os.path.relpath(path)
    return path if short == "." or short.split(os.sep, 1)[0] == ".." else short


def _user() -> str:
    """Returns the user's name: `getpass` takes 10 ms to import."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        if os.environ.get(name):
            return os.environ[name]
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _or_nothing(find: Callable[[], T]) -> T | None:
    try:
        return find()
    except Exception:  # No user of that id, a working directory that is gone, a path that is no text.
        return None
