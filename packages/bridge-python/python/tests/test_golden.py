"""The golden journals: written the same again, and read by the tests' own reader as expected.json says."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import pytest
from journal_reader import read_run

PROTOCOL = Path(__file__).resolve().parents[2] / "protocol"
CASES = sorted(path.name for path in (PROTOCOL / "golden").iterdir())


def number(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return "-0" if value == 0 and math.copysign(1, value) < 0 else value


@pytest.mark.parametrize("name", CASES)
def test_reads_what_is_expected(name: str) -> None:
    case = PROTOCOL / "golden" / name
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    views = read_run(case, expected["run"])
    assert views.keys() == expected["writers"].keys()
    for writer, view in views.items():
        want = expected["writers"][writer]
        events = [{k: number(v) if k in ("value", "time") else v for k, v in event.items()} for event in view.events]
        assert events == want["events"]
        found = (view.role, view.identity.get("of"), view.gap_bytes, view.unknown, view.damaged)
        assert found == tuple(want[key] for key in ("role", "of", "gapBytes", "unknown", "damaged"))


def test_the_writer_still_writes_the_same_bytes(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_golden", PROTOCOL / "make_golden.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.make(tmp_path)
    for path in sorted((PROTOCOL / "golden").rglob("*")):
        if path.is_file():
            again = tmp_path / path.relative_to(PROTOCOL / "golden")
            assert again.read_bytes() == path.read_bytes(), path
