"""Where a run was begun: J5.5's `origin`, found out without starting a process, and left out where it is not known."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from journal_reader import only_run, primary

import tracelet
from tracelet import _git
from tracelet._ids import host_name
from tracelet._origin import origin


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    (path / "src").mkdir(parents=True)
    git(path, "init", "-q", "-b", "feature/x")
    git(path, "commit", "-q", "--allow-empty", "-m", "first")
    return path


def origin_of_run(folder: Path) -> Any:
    run = only_run(folder)
    payload = primary(run).events[0]["payload"]
    return payload["origin"]


SCRIPT = "import tracelet\nwith tracelet.start_logging() as run:\n    run.log({'loss': 1})\n"


def run_python(*arguments: str, cwd: Path, **environment: str) -> None:
    import sys

    subprocess.run([sys.executable, *arguments], cwd=cwd, env={**os.environ, **environment}, check=True, timeout=60)


def test_a_script_its_user_and_its_commit(repository: Path, folder: Path) -> None:
    (repository / "src" / "train.py").write_text(SCRIPT)
    git(repository, "remote", "add", "origin", "https://me:geheim@example.org/mine.git")
    run_python("src/train.py", cwd=repository, LOGNAME="me")
    assert origin_of_run(folder) == {
        "program": "src/train.py",
        "user": "me",
        "host": host_name(),
        "git": {
            "commit": git(repository, "rev-parse", "HEAD"),
            "branch": "feature/x",
            "remote": "https://example.org/mine.git",
        },
    }
    for file in folder.rglob("*"):
        assert not file.is_file() or b"geheim" not in file.read_bytes()


def test_a_module_and_a_commit_that_nobody_wants(repository: Path, folder: Path) -> None:
    (repository / "training").mkdir()
    (repository / "training" / "__main__.py").write_text(SCRIPT)
    run_python("-m", "training", cwd=repository, TRACELET_TRACK_GIT="off")
    found = origin_of_run(folder)
    assert found["program"] == "-m training"
    assert "git" not in found


def test_a_script_elsewhere_keeps_its_path_and_its_repository(repository: Path, folder: Path, tmp_path: Path) -> None:
    path = repository / "src" / "train.py"
    path.write_text(SCRIPT)
    run_python(str(path), cwd=tmp_path / "repository" / ".git")
    found = origin_of_run(folder)
    assert found["program"] == str(path)
    assert found["git"]["branch"] == "feature/x"


def test_the_prompt_and_what_cannot_be_found_out(folder: Path, script: Any) -> None:
    script.run(
        "import os, tracelet\nos.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
        "run = tracelet.start_logging(); run.log({'loss': 1}); tracelet.stop_logging(); assert not run.refused"
    )
    found = origin_of_run(folder)
    assert "program" not in found
    assert "git" not in found


def test_packed_detached_and_linked(repository: Path, tmp_path: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "pack-refs", "--all")
    assert _git.find(str(repository / "src")) == {"commit": first, "branch": "feature/x"}
    git(repository, "commit", "-q", "--allow-empty", "-m", "second")
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"), first)
    assert _git.find(str(tmp_path / "side")) == {"commit": first, "branch": "side"}
    git(repository, "checkout", "-q", "--detach", first)
    assert _git.find(str(repository)) == {"commit": first}


def test_no_commit_and_what_cannot_be_read(tmp_path: Path) -> None:
    for name, inside in (("empty", None), ("broken", ".git/HEAD")):
        (tmp_path / name).mkdir()
        if inside is None:
            git(tmp_path / name, "init", "-q")
        else:
            (tmp_path / name / inside).mkdir(parents=True)
        assert _git.find(str(tmp_path / name)) is None
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ".git").write_text("gitdir: ../gone\n")
    assert _git.find(str(tmp_path / "elsewhere")) is None


def test_settings_leave_git_out(repository: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    tracelet.Experiment(config=tracelet.ExperimentConfig(track_git=False)).start().stop()
    assert "git" not in origin_of_run(folder)


def test_takes_a_few_milliseconds_at_most(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository with 20,000 packed refs; the best of five, since the machine has other work."""
    lines = (f"{number:040x} refs/tags/{number}\n" for number in range(20_000))
    git(repository, "pack-refs", "--all")
    packed = repository / ".git" / "packed-refs"
    packed.write_text("".join(lines) + packed.read_text())
    monkeypatch.chdir(repository / "src")
    best, found = 1.0, origin(with_git=True)
    for _ in range(5):
        began = time.perf_counter()
        found = origin(with_git=True)
        best = min(best, time.perf_counter() - began)
    assert "git" in found
    assert best < 0.03
