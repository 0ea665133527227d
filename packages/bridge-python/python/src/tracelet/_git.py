"""The commit that a folder stands on, read from the files of its repository: no process is started for it.

The formats are those of gitrepository-layout(5) and git-config(1) of Git 2.39. Whether files were changed since would
need its index, and is not said. Texts are taken apart by hand: compiling patterns takes longer than reading the files.
"""

from __future__ import annotations

import os

from ._payload import Json

# Longer files are not read: `packed-refs` has a line for every branch and tag there ever was.
_FILE_BYTES_MAX = 8 << 20
# Longest branch and URL that are kept.
_TEXT_LENGTH_MAX = 1_024


def find(folder: str) -> dict[str, Json] | None:
    """Returns commit, branch and remote of the repository that `folder` lies in; None where there is none."""
    own = _git_folder(folder)
    if own is None:
        return None
    # A linked worktree has a HEAD of its own, and shares the rest.
    shared = os.path.join(own, (_read(os.path.join(own, "commondir")) or ".").strip())
    head = (_read(os.path.join(own, "HEAD")) or "").strip()
    ref = head[5:] if head.startswith("ref: refs/") else ""
    commit = _commit_of(own, shared, ref) if ref else head
    if len(commit) not in (40, 64) or not set(commit) <= set("0123456789abcdef"):
        return None
    found: dict[str, Json] = {"commit": commit}
    if ref.startswith("refs/heads/"):
        found["branch"] = ref[len("refs/heads/") :][:_TEXT_LENGTH_MAX]
    remote = _remote_of(_read(os.path.join(shared, "config")) or "")
    if remote:
        found["remote"] = remote[:_TEXT_LENGTH_MAX]
    return found


def _git_folder(start: str) -> str | None:
    """Returns the nearest `.git` upwards; a file in its place names where it lies."""
    folder = os.path.abspath(start)
    while True:
        path = os.path.join(folder, ".git")
        if os.path.isdir(path):
            return path
        text = _read(path) or ""
        if text.startswith("gitdir: "):
            return os.path.join(folder, text[len("gitdir: ") :].strip())
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _commit_of(own: str, shared: str, ref: str) -> str:
    for place in (own, shared):
        loose = _read(os.path.join(place, ref))
        if loose is not None:
            return loose.strip()
    packed = _read(os.path.join(shared, "packed-refs")) or ""
    end = packed.find(f" {ref}\n")
    return packed[packed.rfind("\n", 0, end) + 1 : end] if end >= 0 else ""


def _remote_of(config: str) -> str:
    """Returns the URL of `origin`, else of the first remote, without user info; `""` where there is none."""
    urls: dict[str, str] = {}
    remote = None
    for line in map(str.strip, config.split("\n")):
        if line.startswith("["):
            remote = line[len('[remote "') : -len('"]')] if line.startswith('[remote "') else None
        name, _, value = line.partition("=")
        if name.strip().lower() == "url" and remote is not None:
            urls.setdefault(remote, value.strip().strip('"'))
    url = urls.get("origin") or next(iter(urls.values()), "")
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}" if separator else url


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(_FILE_BYTES_MAX + 1)
    except OSError:
        return None
    return text if len(text) <= _FILE_BYTES_MAX else None
