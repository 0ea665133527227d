"""Every test records into a folder of its own, starts no agent unless it says so, and leaves no run behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tracelet

SRC = Path(tracelet.__file__).resolve().parent.parent
FOREIGN = ("CI", "PBS_JOBID", "LSB_JOBID", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR")
FOREIGN_PREFIXES = ("TRACELET_", "MLFLOW_", "COLAB_", "KAGGLE_", "SLURM_", "TORCHELASTIC_", "GITHUB_", "GITLAB_")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in [*os.environ]:
        if name.startswith(FOREIGN_PREFIXES) or name in FOREIGN:
            monkeypatch.delenv(name)
    monkeypatch.setenv("TRACELET_DIR", str(tmp_path / "folder"))
    monkeypatch.setenv("TRACELET_AGENT", "off")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(SRC), str(Path(__file__).parent))))
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "folder"
    tracelet.stop_logging(wait=False)


class Script:
    """Runs Python programs that import tracelet."""

    def start(self, source: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def run(self, source: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", source],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, **environment},
        )


@pytest.fixture
def script() -> Script:
    return Script()
