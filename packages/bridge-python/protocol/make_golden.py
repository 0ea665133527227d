"""Writes the golden journals of `golden/`, always the same bytes. Run it after a change of the format; read the diff.

    python packages/bridge-python/protocol/make_golden.py

What a case should yield is stated here by hand where it matters (`check`), and read for `expected.json` by the tests'
own reader, which knows the spec and not the writer.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import struct
import sys
import zlib
from itertools import count
from pathlib import Path
from typing import Callable

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "python" / "src"), str(HERE.parent / "python" / "tests")]

from journal_reader import WriterView, read_run  # noqa: E402

from tracelet._format import CONTINUED, ROLE_CHILD, ROLE_PRIMARY, encode_header, encode_record  # noqa: E402
from tracelet._ids import Identity  # noqa: E402
from tracelet._payload import encode  # noqa: E402
from tracelet._refusals import Refusals  # noqa: E402
from tracelet._stream import Stream  # noqa: E402
from tracelet._writer import InContext, Writer  # noqa: E402

RUN = "0123456789abcdef0123456789abcdef"
WRITER = "00112233445566aa"
CHILD = "8899aabbccddeeff"
OBSERVER = "ffeeddccbbaa9988"
ROLE_OBSERVER = 2
SALT = 0x5EED5EED
START = 1790000000.0
KINDS = {
    "runStarted": 16,
    "runFinished": 17,
    "params": 19,
    "tags": 20,
    "text": 21,
    "media": 22,
    "artifact": 23,
    "renamed": 25,
}


def identity(writer: str = WRITER, of: str | None = None, run: str = RUN, resumes: bool = False) -> Identity:
    return Identity(run, writer, "golden", "11111111-2222-3333-4444-555555555555", 4711, of, resumes)


def make_writer(
    case: Path,
    writer: str = WRITER,
    role: int = ROLE_PRIMARY,
    of: str | None = None,
    more: dict[str, object] | None = None,
    resumes: bool = False,
) -> Writer:
    ticks = count()
    salts = count(SALT)
    started = {
        "time": START,
        "run": {"id": RUN, "project": "golden", "name": case.name, "tags": {"demo": ""}},
        "backends": [{"name": "local", "plugin": "backend.local", "version": "0.1.0", "config": {}}],
        "client": {"language": "python", "version": "3.9.0", "tracelet": "0.1.0"},
        **(more or {}),
    }
    since = START + 2000 if resumes else START
    opening = (16, encode(started)) if role == ROLE_PRIMARY else None  # type: ignore[arg-type]
    stream = Stream(
        str(case), identity(writer, of, resumes=resumes), role, True, opening, lambda: since, lambda: next(salts)
    )
    return Writer(stream, Refusals(), clock=lambda: START + next(ticks) / 4)


def record(writer: Writer, kind: str, fields: dict[str, object]) -> None:
    writer.record(KINDS[kind], encode({"time": START + 1000, **fields}))  # type: ignore[dict-item]


def finish(writer: Writer) -> None:
    record(writer, "runFinished", {"status": "finished", "exitCode": 0})
    close(writer)


def close(writer: Writer) -> None:
    """Ends the stream, and leaves what it reserved as it was: readers have to pass over it after a kill (J2.4)."""
    last = writer._stream.segment
    writer.close()
    if last is not None:
        os.truncate(last.path, last.end)


def segment(case: Path, number: int = 0, writer: str = WRITER) -> Path:
    return case / "journal" / f"{writer}.{number}.tlj"


def change(path: Path, edit: Callable[[bytearray], None]) -> None:
    data = bytearray(path.read_bytes())
    edit(data)
    path.write_bytes(bytes(data))


class ByHand:
    """A segment of records that the Python writer does not write."""

    def __init__(self, number: int = 0, offset: int = 0, salt: int = SALT, who: Identity | None = None) -> None:
        self.salt, self.offset = salt, offset
        self.data = encode_header(ROLE_PRIMARY, salt, offset, START, number, encode(dict((who or identity()).fields())))
        self.header = len(self.data)

    def position(self) -> int:
        return self.offset + len(self.data) - self.header

    def add(self, kind: int, payload: bytes) -> int:
        """Returns the file offset of the record."""
        at = len(self.data)
        self.data += encode_record(kind, payload, self.salt, self.position())
        return at

    def series(self, number: int, name: str, context: str = "{}") -> None:
        self.add(3, b'{"series":%d,"name":%s,"context":%s}' % (number, encode(name), context.encode()))

    def point(self, series: int, step: int, value: float) -> int:
        return self.add(1, struct.pack("<Iqdd", series, step, value, START + step))

    def write(self, path: Path, length: int = 4096) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.data.ljust(length, b"\0"))


def basic(case: Path) -> None:
    writer = make_writer(case)
    record(writer, "params", {"params": {"lr": 0.001, "layers": [64, 32], "optimizer": {"name": "adam"}, "seed": None}})
    record(writer, "tags", {"tags": {"demo": "", "team": "vision"}})
    for step in range(5):
        writer.log("loss", 1.0 / (step + 1), step)
        writer.point(InContext(("loss", '{"subset":"val"}')), 1.5 / (step + 1), None)
    record(writer, "text", {"name": "note", "context": {}, "step": 4, "text": "erste Zeile\nzweite Zeile ✓"})
    finish(writer)


def several_segments(case: Path) -> None:
    writer = make_writer(case)
    for step in range(1700):
        writer.log("loss", step / 8, step)
        if step % 850 == 0:
            writer.log("rare", float(step), step)
    finish(writer)


def special_values(case: Path) -> None:
    writer = make_writer(case)
    limit = 2**53 - 1
    values = [math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, 1.7976931348623157e308, 0.1, 2.0**53]
    for step, value in enumerate(values):
        writer.log("value", value, step)
    for step in (limit, -limit, 0, -1, 7, 7, 3):
        writer.log("step", 1.0, step)
    for name in (
        "__proto__",
        "constructor",
        "train/loss",
        "verlust-ä-損失-📉",
        "a b\tc\nd\u0000e",
        "x" * 1024,
        "é" * 512,
    ):
        writer.log(name, 1.0, 1)
    record(
        writer,
        "params",
        {"params": {"__proto__": {"toString": 1}, "nan": "NaN", "big": str(2**53), "nested": {"": {"": ""}}}},
    )
    finish(writer)


def columns(case: Path) -> None:
    hand = ByHand()
    hand.add(
        16,
        encode(
            {
                "time": START,
                "run": {"id": RUN, "project": "golden", "name": "columns", "tags": {}},
                "backends": [],
                "client": {"language": "typescript", "version": "24.21.0", "tracelet": "0.1.0"},
            }
        ),
    )
    hand.series(0, "loss")
    hand.series(1, "acc", '{"subset":"val"}')
    # The third row is of a series that nobody gave a number: damaged, and the rows behind it keep their index.
    steps, values, times, series = (
        [0, 0, 1, -5],
        [0.5, math.nan, 2.0, -0.0],
        [START, START + 1, START + 2, START + 3],
        [0, 1, 9, 0],
    )
    rows = len(steps)
    hand.add(2, struct.pack(f"<I{rows}q{rows}d{rows}d{rows}I", rows, *steps, *values, *times, *series))
    most = 2048
    hand.add(
        2,
        struct.pack(f"<I{most}q{most}d{most}d{most}I", most, *range(most), *[1.0] * most, *[START] * most, *[1] * most),
    )
    hand.add(17, encode({"time": START + 9, "status": "failed", "exitCode": 1, "error": "Fehler: ✗"}))
    hand.write(segment(case), 65536)


def torn_tail(case: Path) -> None:
    writer = make_writer(case)
    for step in range(10):
        writer.log("loss", float(step), step)
    end = writer._at  # where the next record would start
    close(writer)
    # L of a point is there and a part of its payload; the checksum is not: the power went between two pages.
    change(segment(case), lambda data: data.__setitem__(slice(end, end + 20), struct.pack("<IIIII", 32, 0, 1, 0, 10)))


def hole(case: Path) -> None:
    writer = make_writer(case)
    for step in range(400):
        writer.log("loss", float(step), step)
    finish(writer)
    change(segment(case), lambda data: data.__setitem__(slice(4096, 8192), bytes(4096)))


def lost_end(case: Path) -> None:
    """The last page of the first segment never reached the disk; that records were there, the second one tells."""
    writer = make_writer(case)
    for step in range(1700):
        writer.log("loss", float(step), step)
    finish(writer)
    change(segment(case), lambda data: data.__setitem__(slice(61440, 65536), bytes(4096)))


def unknown_kind(case: Path) -> None:
    hand = ByHand()
    hand.series(0, "loss")
    hand.point(0, 0, 0.5)
    hand.add(77, b"from a later version")
    hand.add(0x80000001, encode({"private": True}))
    hand.add(15, b"")
    hand.point(0, 1, 0.25)
    hand.write(segment(case))


def damaged_payload(case: Path) -> None:
    hand = ByHand()
    hand.point(0, 0, 1.0)  # its series comes too late
    hand.series(0, "loss")
    hand.point(0, 1, 1.0)
    hand.add(1, b"short")
    hand.add(19, b"{not json")
    hand.add(19, b"[1]")
    hand.add(19, encode({"time": START}))
    hand.add(17, encode({"time": START, "status": "exploded"}))
    hand.add(2, struct.pack("<I", 3) + bytes(28))
    hand.point(0, 2**53, 1.0)  # a step beyond what a float64 holds
    hand.add(20, encode({"time": START, "tags": {"still": "read"}}))
    hand.point(0, 2, 2.0)
    hand.write(segment(case))


def foreign_bytes(case: Path) -> None:
    hand = ByHand()
    hand.series(0, "loss")
    hand.point(0, 0, 0.5)
    point = struct.pack("<IIqdd", 1, 0, 666, 6.66, START)
    unseeded = struct.pack("<II", 32, zlib.crc32(point)) + point
    elsewhere = encode_record(1, point[4:], SALT, 8)
    recycled = encode_record(1, point[4:], SALT + 1, 400)
    # Kind and four bytes take 8, so that what follows starts at a multiple of 8.
    inside = b"pad." + unseeded + elsewhere + recycled
    hand.add(78, inside)  # good, of an unknown kind: what is inside is not looked at
    torn = hand.add(21, inside)
    data = bytearray(hand.data)
    data[torn + 4] ^= 0xFF  # its checksum is wrong: now every 8 bytes of it are tried
    hand.data = bytes(data)
    hand.point(0, 1, 0.25)
    hand.write(segment(case))


def wrong_header(case: Path) -> None:
    first = ByHand()
    first.series(0, "loss")
    first.point(0, 0, 0.5)
    first.write(segment(case, 0))
    for number, spoil in ((1, 30), (2, 8)):  # a byte of the stream offset; the version
        broken = ByHand(number, 4096 * number)
        broken.series(0, "loss")
        broken.point(0, 99, 99.0)
        data = bytearray(broken.data)
        data[spoil] ^= 2
        broken.data = bytes(data)
        broken.write(segment(case, number))
    other_run = ByHand(3, 4096 * 3, who=identity(run="f" * 32))
    other_run.series(0, "loss")
    other_run.point(0, 98, 98.0)
    other_run.write(segment(case, 3))
    segment(case, 4).write_bytes(b"\x89TLJ")
    last = ByHand(5, 4096 * 5)
    last.add(CONTINUED, struct.pack("<Q", 4096 * 4))
    last.series(0, "loss")
    last.point(0, 1, 0.25)
    last.write(segment(case, 5))


def spilled_blob(case: Path) -> None:
    writer = make_writer(case)
    writer.log("loss", 0.5, 0)
    record(writer, "params", {"params": {"long": "ä" * 40_000, "lr": 0.1}})
    record(writer, "text", {"name": "missing", "context": {}, "step": 0, "text": "m" * 70_000})
    record(writer, "text", {"name": "changed", "context": {}, "step": 0, "text": "c" * 70_000})
    finish(writer)
    for blob in (case / "blobs").iterdir():
        if b'"missing"' in blob.read_bytes()[:100]:
            blob.unlink()
        elif b'"changed"' in blob.read_bytes()[:100]:
            change(blob, lambda data: data.__setitem__(-10, 0x58))


def roles(case: Path) -> None:
    writer = make_writer(case)
    child = make_writer(case, CHILD, ROLE_CHILD, WRITER)
    writer.log("loss", 0.5, 0)
    child.log("loss", 0.75, 0)
    record(child, "runFinished", {"status": "failed", "exitCode": 3, "error": "ValueError: no"})
    close(child)
    finish(writer)


def amended(case: Path) -> None:
    writer = make_writer(case)
    writer.log("loss", 0.5, 0)
    finish(writer)
    observer = make_writer(case, OBSERVER, ROLE_OBSERVER, WRITER)
    record(observer, "renamed", {"name": "another"})
    record(observer, "tags", {"tags": {"demo": None, "stage": "final", "__proto__": None}})
    record(observer, "renamed", {"name": "名前 ✨"})
    close(observer)


def begun(case: Path) -> None:
    """All that a run-started record may say (J5.5), and what a later version may add to it."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    git = {"commit": commit, "branch": "feature/ö", "remote": "ssh://example.org/mine.git", "isDirty": True}
    origin = {"program": "-m training", "user": "me", "host": "golden", "git": git}
    trace = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331"}
    finish(make_writer(case, more={"parent": "ff" * 16, "origin": origin, "trace": trace, "rank": 3}))


def kept(case: Path) -> None:
    """Media and artifacts (J5.11, J5.15, J5.16) of a run that was resumed (J10.3)."""
    writer = make_writer(case)
    picture, weights = b"\x89PNG\r\n\x1a\n", b"weights"
    place = {"name": "sample", "context": {"subset": "val"}, "step": 3}
    digests = {content: f"sha256:{writer.keep(content)}" for content in (picture, weights)}
    file = {"kind": "image", "mediaType": "image/png", "digest": digests[picture], "bytes": len(picture)}
    record(writer, "media", {**place, **file})
    histogram = {"kind": "histogram", "mediaType": "application/json", "edges": [0, 0.5, 1], "counts": [2, 3]}
    record(writer, "media", {**place, **file, **histogram})
    files = [{"path": "deep/ö.bin", "digest": digests[weights], "bytes": len(weights)}]
    made = {"name": "best", "type": "model", "files": files, "references": ["s3://base"]}
    record(writer, "artifact", {**made, "description": "d", "metadata": {"epoch": 3}})
    used = {"context": "training", "digest": "v3", "sourceType": "http", "schema": [{"name": "hue"}], "profile": None}
    record(writer, "artifact", {**made, "name": "wine", "type": "dataset", "files": [], "input": used})
    record(writer, "runFinished", {"status": "failed"})
    close(writer)
    again = make_writer(case, CHILD, resumes=True)
    again.log("loss", 0.5, 0)
    finish(again)


# case -> (how it is made, what must hold of its first writer: events, gap bytes (None: any above 0), unknown, damaged)
CASES = {
    "basic": (basic, (15, 0, 0, 0)),
    "several-segments": (several_segments, (1704, 0, 0, 0)),
    "special-values": (special_values, (26, 0, 0, 0)),
    "columns": (columns, (2 + 3 + 2048, 0, 0, 1)),
    "torn-tail": (torn_tail, (11, 24, 0, 0)),
    "hole-in-the-middle": (hole, (None, None, 0, 0)),
    "lost-end": (lost_end, (None, None, 0, 0)),
    "unknown-kind": (unknown_kind, (2, 0, 3, 0)),
    "damaged-payload": (damaged_payload, (3, 0, 0, 8)),
    "foreign-bytes": (foreign_bytes, (2, 136, 1, 0)),
    "wrong-header": (wrong_header, (2, 3 * 4096 + 4, 0, 0)),
    "spilled-blob": (spilled_blob, (4, 0, 0, 2)),
    "roles": (roles, (3, 0, 0, 0)),
    "kept": (kept, (6, 0, 0, 0)),
    "begun": (begun, (2, 0, 0, 0)),
    "amended": (amended, (3, 0, 0, 0)),
}


def number(value: float) -> object:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return "-0" if value == 0 and math.copysign(1, value) < 0 else value


def expected(case: Path) -> str:
    """Returns the text of `expected.json`, one event a line so that a diff can be read."""
    writers = ",\n".join(f"{json.dumps(writer)}: {shown(view)}" for writer, view in read_run(case, RUN).items())
    return f'{{"run": "{RUN}", "writers": {{\n{writers}\n}}}}\n'


def shown(view: WriterView) -> str:
    head = {
        "role": view.role,
        "of": view.identity.get("of"),
        "gapBytes": view.gap_bytes,
        "unknown": view.unknown,
        "damaged": view.damaged,
    }
    events: list[dict[str, object]] = [
        {key: number(value) if key in ("value", "time") else value for key, value in event.items()}
        for event in view.events
    ]
    lines = ",\n".join(json.dumps(event, ensure_ascii=False, allow_nan=False) for event in events)
    return f'{json.dumps(head)[:-1]}, "events": [\n{lines}\n]}}'


def check(name: str, view: WriterView) -> None:
    events, gap, unknown, damaged = CASES[name][1]
    found = (len(view.events), view.gap_bytes, view.unknown, view.damaged)
    assert events in (None, found[0]), (name, found)
    assert view.gap_bytes > 0 if gap is None else gap == view.gap_bytes, (name, found)
    assert (unknown, damaged) == found[2:], (name, found)


def make(folder: Path) -> None:
    """Writes all cases into `folder`."""
    for name, (build, _) in CASES.items():
        case = folder / name
        shutil.rmtree(case, ignore_errors=True)
        build(case)
        for lock in (case / "journal").glob("*.lock"):
            lock.unlink()  # every writer is over
        check(name, read_run(case, RUN)[WRITER])
        (case / "expected.json").write_text(expected(case), encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "golden")
