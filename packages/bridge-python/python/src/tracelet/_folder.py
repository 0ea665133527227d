"""Where the tracelet folder is (docs/spec/journal.md J1.3), and making it (J1.4)."""

from __future__ import annotations

import os

FOLDER_NAME = ".tracelet"


def find_folder(start: str | None = None) -> str:
    """Returns the tracelet folder's absolute path, whether it exists or not.

    `TRACELET_DIR`; else the nearest `.tracelet` from `start` (the working directory) upwards; else `.tracelet` beside
    the nearest `.git` upwards; else `.tracelet` in `start`. The home folder's `.tracelet` holds the user's plugins:
    it counts only when `start` is the home folder.

    Raises:
        OSError: the working directory is gone.
    """
    given = os.environ.get("TRACELET_DIR")
    if given:
        return os.path.abspath(os.path.expanduser(given))
    here = os.path.abspath(start if start is not None else os.getcwd())
    # `.git` is a file in worktrees and submodules.
    home = os.path.expanduser("~")
    for marker, exists in ((FOLDER_NAME, os.path.isdir), (".git", os.path.exists)):
        folder = here
        while True:
            is_plugins = marker == FOLDER_NAME and folder == home != here
            if not is_plugins and exists(os.path.join(folder, marker)):
                return os.path.join(folder, FOLDER_NAME)
            parent = os.path.dirname(folder)
            if parent == folder:
                break
            folder = parent
    return os.path.join(here, FOLDER_NAME)


def make_folder(folder: str) -> None:
    """Makes the folder with mode 0700 and, where it holds nothing yet (J1.4), a `.gitignore` that hides it.

    Raises:
        OSError: it cannot be made.
    """
    make_private(folder)
    if os.listdir(folder):
        return
    try:
        fd = os.open(os.path.join(folder, ".gitignore"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    try:
        os.write(fd, b"*\n")
    finally:
        os.close(fd)


def make_private(path: str) -> None:
    """Makes a folder and those above it that are missing, each with mode 0700 (`os.makedirs`: the last alone).

    Raises:
        OSError: one cannot be made.
    """
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        parent = os.path.dirname(path)
        if parent == path:
            raise
        make_private(parent)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass  # Another process was quicker.


def sync_command(folder: str) -> str:
    """Returns the command that delivers what is kept in a folder, as a shell takes it."""
    import shlex

    return f"tracelet sync {shlex.quote(folder)}"
