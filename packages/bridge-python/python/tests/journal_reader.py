"""A reader of journals for tests, written from docs/spec/journal.md alone: it imports nothing of tracelet.

It reads a run's folder as whoever comes after the run does: every writer is over, every segment final (J4.2).
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from pathlib import Path
from typing import Any

MAGIC = b"\x89TLJ\r\n\x1a\n"
ROLES = {1: "primary", 2: "observer", 3: "child"}
JSON_KINDS = {
    16: ("runStarted", ("time", "run", "backends", "client")),
    17: ("runFinished", ("time", "status")),
    18: ("heartbeat", ("time",)),
    19: ("params", ("time", "params")),
    20: ("tags", ("time", "tags")),
    21: ("text", ("time", "name", "context", "step", "text")),
    22: ("media", ("time", "name", "context", "step", "kind", "mediaType", "digest", "bytes")),
    23: ("artifact", ("time", "name", "type", "files", "references")),
    24: ("console", ("time", "stream", "text")),
    25: ("renamed", ("time", "name")),
}
STEP_MAX = 2**53 - 1
NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]{0,63})\.(0|[1-9][0-9]*)\.tlj")

Event = dict[str, Any]


class Damaged(Exception):
    pass


class Header:
    def __init__(self, data: bytes, run: str, writer: str) -> None:
        """Raises Damaged for what J2.1 lists."""
        if len(data) < 64 or data[:8] != MAGIC:
            raise Damaged("magic")
        version, role, length, self.salt, crc = struct.unpack_from("<HHIII", data, 8)
        if version != 1 or role not in ROLES:
            raise Damaged("version")
        if length % 8 or not 64 <= length <= 4096 or length > len(data):
            raise Damaged("length")
        if zlib.crc32(data[:20] + data[24:length]) != crc:
            raise Damaged("checksum")
        self.offset, self.created, self.number, identity = struct.unpack_from("<QdQI", data, 24)
        if 64 + identity > length:
            raise Damaged("identity")
        self.length = length
        self.role = ROLES[role]
        self.identity = json.loads(data[64 : 64 + identity])
        if self.identity["run"] != run or self.identity["writer"] != writer:
            raise Damaged("run or writer")


class WriterView:
    """What one writer's segments yield."""

    def __init__(self) -> None:
        self.identity: dict[str, Any] = {}
        self.role: str | None = None
        self.events: list[Event] = []
        self.gap_bytes = 0
        self.unknown = 0
        self.damaged = 0

    def points(self, name: str | None = None) -> list[tuple[int, float]]:
        return [
            (event["step"], event["value"])
            for event in self.events
            if event["kind"] == "point" and name in (None, event["name"])
        ]

    def payloads(self, kind: str) -> list[dict[str, Any]]:
        return [event["payload"] for event in self.events if event["kind"] == kind]


def good_record(data: bytes, at: int, header: Header) -> tuple[int, int, bytes] | None:
    """Returns L, kind and payload of the record at a file offset, None when there is no good one (J3)."""
    if at + 12 > len(data):
        return None
    length, crc, kind = struct.unpack_from("<III", data, at)
    if not 4 <= length <= 65536 or at + 8 + length > len(data):
        return None
    position = header.offset + at - header.length
    seed = header.salt ^ (position % 2**32) ^ (position // 2**32)
    body = data[at + 8 : at + 8 + length]
    return (length, kind, body[4:]) if zlib.crc32(body, seed) == crc else None


def read_writer(run_folder: Path, run: str, writer: str) -> WriterView:
    view = WriterView()
    found = [
        (int(m.group(2)), p)
        for p in (run_folder / "journal").iterdir()
        if (m := NAME.fullmatch(p.name)) and m.group(1) == writer
    ]
    segments = [path.read_bytes() for _, path in sorted(found)]
    ends: list[int | None] = []
    headers: list[Header | None] = []
    for data in segments:
        try:
            header = Header(data, run, writer)
        except (Damaged, KeyError, ValueError):
            headers.append(None)
            ends.append(None)
            continue
        headers.append(header)
        first = good_record(data, header.length, header)
        ends.append(struct.unpack("<Q", first[2])[0] if first and first[1] == 4 and len(first[2]) == 8 else None)
    for index, (data, good) in enumerate(zip(segments, headers)):
        if good is None:
            view.gap_bytes += len(data)  # J2.1
            continue
        view.role = view.role or good.role
        view.identity = view.identity or good.identity
        _read_segment(run_folder, view, data, good, ends[index + 1] if index + 1 < len(ends) else None)
    return view


def _read_segment(folder: Path, view: WriterView, data: bytes, header: Header, ended: int | None) -> None:
    series: dict[int, tuple[str, dict[str, Any]]] = {}
    at = done = header.length
    while at < len(data):
        record = good_record(data, at, header)
        if record is None:
            at += 8
            continue
        view.gap_bytes += at - done  # J4.4: a good record follows them
        length, kind, payload = record
        try:
            _yield(folder, view, series, header.offset + at - header.length, kind, payload)
        except (Damaged, ValueError, KeyError, TypeError, struct.error):
            view.damaged += 1
        at += (8 + length + 7) // 8 * 8
        done = at
    rest = len(data[done:].rstrip(b"\0"))
    end = done + (rest + 7) // 8 * 8
    if ended is not None:
        end = max(end, header.length + ended - header.offset)
    view.gap_bytes += end - done


def _yield(
    folder: Path,
    view: WriterView,
    series: dict[int, tuple[str, dict[str, Any]]],
    position: int,
    kind: int,
    payload: bytes,
) -> None:
    def point(index: int, number: int, step: int, value: float, time: float) -> None:
        if number not in series or not -STEP_MAX <= step <= STEP_MAX:
            view.damaged += 1  # J4.5
            return
        name, context = series[number]
        view.events.append(
            {
                "position": position,
                "index": index,
                "kind": "point",
                "name": name,
                "context": context,
                "step": step,
                "value": value,
                "time": time,
            }
        )

    if kind == 1:
        number, step, value, time = struct.unpack("<Iqdd", payload)
        point(0, number, step, value, time)
    elif kind == 2:
        (count,) = struct.unpack_from("<I", payload)
        if not 1 <= count <= 2048 or len(payload) != 4 + 28 * count:
            raise Damaged("points")
        columns = struct.unpack(f"<I{count}q{count}d{count}d{count}I", payload)[1:]
        for i in range(count):
            point(i, columns[3 * count + i], columns[i], columns[count + i], columns[2 * count + i])
    elif kind == 3:
        fields = json.loads(payload)
        series[fields["series"]] = (fields["name"], fields["context"])
    elif kind == 4:
        if len(payload) != 8:
            raise Damaged("continued")
    elif kind in JSON_KINDS:
        name, required = JSON_KINDS[kind]
        fields = json.loads(payload)
        if not isinstance(fields, dict):
            raise Damaged(name)
        if "$blob" in fields:
            digest = fields["$blob"].split(":", 1)[1]
            blob_path = folder / "blobs" / digest
            blob = blob_path.read_bytes() if blob_path.exists() else b""
            if hashlib.sha256(blob).hexdigest() != digest or len(blob) != fields["bytes"]:
                raise Damaged("blob")
            fields = json.loads(blob)
        if any(key not in fields for key in required):
            raise Damaged(name)
        if kind == 17 and fields["status"] not in ("finished", "failed", "killed"):
            raise Damaged(name)
        view.events.append({"position": position, "index": 0, "kind": name, "payload": fields})
    else:
        view.unknown += 1


def read_run(run_folder: Path, run: str | None = None) -> dict[str, WriterView]:
    """Returns every writer of a run by its id; `run` is the run's id, by default the folder's name."""
    writers = sorted({m.group(1) for p in (run_folder / "journal").iterdir() if (m := NAME.fullmatch(p.name))})
    return {writer: read_writer(run_folder, run or run_folder.name, writer) for writer in writers}


def only_run(folder: Path) -> Path:
    """Returns the one run of a tracelet folder."""
    (run,) = (folder / "runs").iterdir()
    return run


def primary(run_folder: Path) -> WriterView:
    """Returns the one primary writer of a run."""
    (view,) = [view for view in read_run(run_folder).values() if view.role == "primary"]
    return view
