"""The span that a run is begun under."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from journal_reader import only_run, primary

import tracelet
from tracelet._trace import current_trace

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def started(folder: Path) -> Any:
    return primary(only_run(folder)).payloads("runStarted")[0]


def test_a_run_names_the_span_its_process_was_started_under(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """J5.5, W3C Trace Context."""
    monkeypatch.setenv("TRACEPARENT", f"00-{TRACE}-{SPAN}-01")
    with tracelet.start_logging("n"):
        pass
    assert started(folder)["trace"] == {"traceId": TRACE, "spanId": SPAN}


def test_a_run_without_a_span_names_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACEPARENT", raising=False)
    with tracelet.start_logging("n"):
        pass
    assert "trace" not in started(folder)


@pytest.mark.parametrize(
    ("text", "is_legal"),
    [
        (f" 00-{TRACE}-{SPAN}-00 ", True),
        (f"01-{TRACE}-{SPAN}-01-more", True),
        (f"ff-{TRACE}-{SPAN}-01", False),
        (f"00-{'0' * 32}-{SPAN}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-{SPAN}-01", False),
        (f"00-{TRACE}-{SPAN}", False),
        ("", False),
    ],
)
def test_what_is_no_traceparent_is_none(text: str, is_legal: bool) -> None:
    expected = {"traceId": TRACE, "spanId": SPAN} if is_legal else None
    assert current_trace({"TRACEPARENT": text}) == expected


def test_a_run_begins_whatever_is_imported_under_the_name_of_opentelemetry(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", sys)
    monkeypatch.delenv("TRACEPARENT", raising=False)
    with tracelet.start_logging("n"):
        pass
    assert "trace" not in started(folder)


def test_the_active_span_goes_before_the_inherited_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = pytest.importorskip("opentelemetry.trace", reason="opentelemetry-api is not installed")
    monkeypatch.setenv("TRACEPARENT", f"00-{TRACE}-{SPAN}-01")
    active = trace.NonRecordingSpan(trace.SpanContext(0xABC, 0xDEF, is_remote=False))
    with trace.use_span(active), tracelet.start_logging("n"):
        pass
    assert started(folder)["trace"] == {"traceId": f"{0xABC:032x}", "spanId": f"{0xDEF:016x}"}


def test_opentelemetry_is_not_imported_for_it() -> None:
    program = "import sys, tracelet; tracelet.start_logging('n', backend='none'); print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
