"""The commit that a folder stands on, read from the files of its repository: no process is started for it.

The formats are those of gitrepository-layout(5) and git-config(1) of Git 2.39. Whether files were changed since would
need its index, and is not said.
"""

from __future__ import annotations

import os
import re

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
    ref = head[5:] if re.fullmatch(r"ref: refs/\S+", head) else ""
    commit = _commit_of(own, shared, ref) if ref else head
    if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", commit):
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
        link = re.search("^gitdir: (.+)$", _read(path) or "", re.M)
        if link:
            return os.path.join(folder, link[1].strip())
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _commit_of(own: str, shared: str, ref: str) -> str:
    for place in (own, shared):
        loose = _read(os.path.join(place, ref))
        if loose is not None:
            return loose.strip()
    packed = re.search(rf"^(\w+) {re.escape(ref)}$", _read(os.path.join(shared, "packed-refs")) or "", re.M)
    return packed[1] if packed else ""


def _remote_of(config: str) -> str:
    """Returns the URL of `origin`, else of the first remote, without user info; `""` where there is none."""
    urls: dict[str, str] = {}
    remote = None
    for line in config.split("\n"):
        section = re.fullmatch(r"\s*\[(.*)\]\s*", line)
        if section:
            name = re.fullmatch(r'remote\s+"(.*)"', section[1])
            remote = name[1] if name else None
        url = re.fullmatch(r'\s*url\s*=\s*"?(.*?)"?\s*', line, re.I)
        if url and remote is not None:
            urls.setdefault(remote, url[1])
    url_of_one = urls.get("origin") or next(iter(urls.values()), "")
    return re.sub(r"^([a-z][a-z0-9+.-]*://)[^/?#\s]*@", r"\1", url_of_one, flags=re.I)


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(_FILE_BYTES_MAX + 1)
    except OSError:
        return None
    return text if len(text) <= _FILE_BYTES_MAX else None
