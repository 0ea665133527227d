"""The heartbeat of a writer on a file system whose locks cannot be trusted (docs/spec/journal.md J5.7)."""

from __future__ import annotations

import threading
import time
import weakref

from ._format import HEARTBEAT
from ._payload import encode
from ._writer import Writer

HEARTBEAT_SECONDS = 30.0


def start_heartbeat(writer: Writer, seconds: float = HEARTBEAT_SECONDS) -> None:
    """Records a heartbeat every 30 s, in a thread that ends with the writer."""
    known = weakref.ref(writer)

    def beat() -> None:
        while True:
            time.sleep(seconds)
            living: Writer | None = known()
            if living is None or living.is_closed:
                return
            living.record(HEARTBEAT, encode({"time": time.time()}))

    try:
        threading.Thread(target=beat, name="tracelet-heartbeat", daemon=True).start()
    except RuntimeError:
        pass  # No thread to be had: the journal's own growth tells that the run lives.
