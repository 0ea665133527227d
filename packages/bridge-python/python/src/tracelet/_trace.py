"""The span a run is begun under (docs/spec/journal.md J5.5): the active one of OpenTelemetry, else `TRACEPARENT`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping

from ._payload import Json

# https://www.w3.org/TR/trace-context/#traceparent-header, version 00 and what later versions begin with.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")


def current_trace(environment: Mapping[str, str] = os.environ) -> dict[str, Json] | None:
    """Returns the ids of the span that is active here, else of the one this process was started under, else None."""
    return _active() or _inherited(environment)


def _active() -> dict[str, Json] | None:
    # Never imported here: where nobody has, no span is active, and importing it takes tens of milliseconds.
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    try:
        context = trace.get_current_span().get_span_context()
        if not context.is_valid:
            return None
        return {"traceId": f"{context.trace_id:032x}", "spanId": f"{context.span_id:016x}"}
    except Exception:
        # Whatever is under that name, or half imported: it is no reason for a run not to begin.
        return None


def _inherited(environment: Mapping[str, str]) -> dict[str, Json] | None:
    match = _TRACEPARENT.fullmatch(environment.get("TRACEPARENT", "").strip())
    return {"traceId": match.group(1), "spanId": match.group(2)} if match else None
