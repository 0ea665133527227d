"""What an import costs: nothing that is not needed, and no framework ever."""

from __future__ import annotations

from typing import Any

import pytest

import tracelet

HEAVY = ("json", "typing", "socket", "threading", "mmap", "logging", "subprocess", "torch", "lightning", "numpy")


def test_import_loads_next_to_nothing(script: Any) -> None:
    """Figures: at most 25 ms over bare Python."""
    done = script.run(
        "import sys; before = set(sys.modules)\nimport tracelet\n"
        f"print([name for name in {HEAVY!r} if name in set(sys.modules) - before], tracelet.__version__)"
    )
    assert done.stdout == "[] 0.1.0\n", done.stderr


def test_start_loads_no_framework_and_nothing_slow(script: Any) -> None:
    done = script.run(
        "import sys; before = set(sys.modules)\nimport tracelet\ntracelet.start_logging('x')\n"
        "slow = ('asyncio', 'http.client', 'inspect', 'dataclasses', 'importlib.metadata', 'numpy', 'torch')\n"
        "print([name for name in slow if name in set(sys.modules) - before])"
    )
    assert done.stdout == "[]\n", done.stderr


def test_names() -> None:
    assert set(tracelet.__all__) <= set(dir(tracelet))
    for name in tracelet.__all__:
        assert getattr(tracelet, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tracelet.nothing
    assert tracelet.available_backends()[0] == "local"
    assert set(tracelet.available_frameworks()) <= {"tensorboard", "lightning"}
