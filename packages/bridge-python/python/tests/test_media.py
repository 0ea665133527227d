"""Images and the like: as the bytes of a file, and as the record that names it (docs/spec/journal.md J5.11, J6.3)."""

from __future__ import annotations

import hashlib
import json
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from journal_reader import only_run, primary

import tracelet
from tracelet import _media
from tracelet._pictures import MEDIA_BYTES_MAX, NotMedia

PNG = b"\x89PNG\r\n\x1a\nrest"


def media(folder: Path) -> list[dict[str, Any]]:
    return [event["payload"] for event in primary(only_run(folder)).events if event["kind"] == "media"]


def blob(folder: Path, record: dict[str, Any]) -> bytes:
    content = next(folder.glob("runs/*/blobs")).joinpath(record["digest"].removeprefix("sha256:")).read_bytes()
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (record["digest"][7:], record["bytes"])
    return content


def chunks(png: bytes) -> dict[bytes, bytes]:
    """The chunks of a PNG by type, each of which has the right checksum."""
    found: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        body = png[at + 4 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length) == (zlib.crc32(body),)
        found[body[:4]] = body[4:]
        at += 12 + length
    return found


def rows(png: bytes) -> tuple[tuple[int, int, int], bytes]:
    """Width, height and colour type of a PNG, and its rows with their filters."""
    parts = chunks(png)
    width, height, _, colour = struct.unpack_from(">IIBB", parts[b"IHDR"])
    return (width, height, colour), zlib.decompress(parts[b"IDAT"])


def test_images_are_recorded_with_their_step_and_kept_once(folder: Path) -> None:
    run = tracelet.start_logging("m")
    run.log_image("sample", PNG, step=3, context={"subset": "val"})
    run.log_image("again", PNG)
    run.log_image("again", PNG)
    Path("a.png").write_bytes(PNG)
    run.log_image("path", Path("a.png"))
    assert run.flush()
    tracelet.stop_logging()
    records = media(folder)
    assert [(m["name"], m["kind"], m["mediaType"], m["step"]) for m in records] == [
        ("sample", "image", "image/png", 3),
        ("again", "image", "image/png", 0),
        ("again", "image", "image/png", 1),
        ("path", "image", "image/png", 0),
    ]
    assert records[0]["context"] == {"subset": "val"}
    assert all(blob(folder, record) == PNG for record in records)
    assert len(list(folder.glob("runs/*/blobs/*"))) == 1
    assert run.refused == {}


def test_arrays_become_a_png_in_any_layout() -> None:
    assert rows(_media.image([[0, 7], [255, 300]]).content) == ((2, 2, 0), b"\0\0\7\0\xff\xff")
    assert rows(_media.image([[0.0, 0.5, 1.0, math.nan, -1.0]]).content) == ((5, 1, 0), b"\0\0\x80\xff\0\0")
    assert rows(_media.image([[True, False]]).content) == ((2, 1, 0), b"\0\xff\0")
    assert rows(_media.image([[[1, 2, 3], [4, 5, 6]]]).content) == ((2, 1, 2), b"\0\1\2\3\4\5\6")
    assert rows(_media.image([[[1, 4]], [[2, 5]], [[3, 6]]]).content) == ((2, 1, 2), b"\0\1\2\3\4\5\6")
    batch = [[[[index]]] for index in range(9)]
    (width, height, _), data = rows(_media.image(batch, "NCHW").content)
    assert (width, height, data) == (8, 2, b"\0\0\1\2\3\4\5\6\7\0\x08" + bytes(7))


@pytest.mark.parametrize(
    "value", [None, 5, b"text", [[]], [1, 2], [[["x"]]], [[[1, 2, 3, 4, 5]] * 2] * 2, "nowhere.png", object(), {"a": 1}]
)
def test_what_is_no_image_is_refused_and_nothing_is_kept_of_it(folder: Path, value: object) -> None:
    run = tracelet.start_logging("m")
    run.log_image("bad", value)
    run.log({"loss": 1.0})
    tracelet.stop_logging()
    assert run.refused == {"media": 1}
    assert media(folder) == []
    assert not list(folder.glob("runs/*/blobs/*"))
    assert primary(only_run(folder)).points() == [(0, 1.0)]


def test_what_cannot_be_placed_is_refused(folder: Path) -> None:
    run = tracelet.start_logging("m")
    run.log_image("", PNG)
    run.log_image("a", PNG, step=0.5)  # type: ignore[arg-type]
    run.log_image("a", PNG, context=5)  # type: ignore[arg-type]
    run.log_image("a", PNG + bytes(MEDIA_BYTES_MAX))
    tracelet.stop_logging()
    assert run.refused == {"name": 1, "step": 1, "context": 1, "media": 1}
    run.log_image("late", PNG)
    assert run.refused["inactive"] == 1


def test_histograms_have_counts_and_one_edge_more(folder: Path) -> None:
    run = tracelet.start_logging("m")
    run.log_histogram("w", [0, 1, 1.5, 4, math.nan, math.inf], bins=4)
    run.log_histogram("wide", [-1.7e308, 1.7e308], bins=2)
    run.log_histogram("given", {"edges": [0, 1, 2], "counts": [3, 4]})
    run.log_histogram("pair", ([3, 4], [0, 1, 2]))
    run.log_histogram("most", {"edges": range(4_097), "counts": [1] * 4_096})
    wrong: tuple[object, ...] = (
        [],
        {"edges": [1, 0], "counts": [1]},
        {"edges": range(4_098), "counts": [1] * 4_097},
        "text",
        None,
    )
    for bad in wrong:
        run.log_histogram("bad", bad)
    tracelet.stop_logging()
    records = media(folder)
    assert [(m["edges"], m["counts"]) for m in records[:4]] == [
        ([0, 1, 2, 3, 4], [1, 2, 0, 1]),
        ([-1.7e308, 0, 1.7e308], [1, 1]),
        ([0, 1, 2], [3, 4]),
        ([0, 1, 2], [3, 4]),
    ]
    assert json.loads(blob(folder, records[0])) == {"edges": [0, 1, 2, 3, 4], "counts": [1, 2, 0, 1]}
    assert [m["name"] for m in records] == ["w", "wide", "given", "pair", "most"]
    assert run.refused == {"media": 5}


def test_tables_are_columns_and_rows_in_whatever_shape_they_came() -> None:
    class Frame:
        columns = ("a", "b")

        def to_dict(self, orient: str) -> dict[str, object]:
            assert orient == "split"
            return {"index": [0], "columns": ["a", "b"], "data": [[1, math.nan]]}

    for given, expected in (
        (
            [{"a": 1, "b": "x"}, {"b": "y", "c": None}],
            {"columns": ["a", "b", "c"], "data": [[1, "x", None], [None, "y", None]]},
        ),
        ({"a": [1, 2], "b": ["x"]}, {"columns": ["a", "b"], "data": [[1, "x"], [2, None]]}),
        ([[1, 2]], {"columns": ["0", "1"], "data": [[1, 2]]}),
        (Frame(), {"columns": ["a", "b"], "data": [[1, "NaN"]]}),
    ):
        assert json.loads(_media.table(given).content) == expected
    for bad in ("text", None, [1], {"columns": ["a"], "data": [[1, 2]]}, [{"a": 1}, 2]):
        with pytest.raises((NotMedia, TypeError)):
            _media.table(bad)


def test_figures_are_known_by_what_they_are() -> None:
    class Drawn:
        def savefig(self, out: Any, format: str) -> None:
            assert format == "png"
            out.write(PNG)

    for given, expected in (
        ('<?xml version="1.0"?><svg/>', "image/svg+xml"),
        ("<!DOCTYPE html><html><svg/></html>", "text/html"),
        (PNG, "image/png"),
        (Drawn(), "image/png"),
        ({"data": [{"y": [1]}], "layout": {}}, "application/vnd.plotly.v1+json"),
    ):
        assert _media.figure(given).media_type == expected
    wrong: tuple[object, ...] = ({}, 5, b"text")
    for bad in wrong:
        with pytest.raises(NotMedia):
            _media.figure(bad)


def test_sounds_are_wav() -> None:
    content = _media.audio([[0.0, 1.0, -2.0, math.nan]], 8_000).content
    assert (content[:4], content[8:16]) == (b"RIFF", b"WAVEfmt ")
    assert struct.unpack_from("<HHI", content, 20) == (1, 1, 8_000)
    assert struct.unpack("<4h", content[44:]) == (0, 32_767, -32_767, 0)
    both = [_media.audio(given, 8_000).content for given in ([[0, 1], [0, 1], [0, 1]], [[0, 0, 0], [1, 1, 1]])]
    assert both[0] == both[1]
    with pytest.raises(NotMedia):
        _media.audio([[[1, 2, 3]] * 3] * 3, 8_000)


def test_videos_are_animated_pictures() -> None:
    medium = _media.video([[[[0]]], [[[255]]]], 4)
    assert medium.media_type == "image/apng"
    parts = chunks(medium.content)
    assert struct.unpack(">II", parts[b"acTL"]) == (2, 0)
    assert zlib.decompress(parts[b"fdAT"][4:]) == b"\0\xff"
    with pytest.raises(NotMedia):
        _media.video([[1]], 4)


def test_precision_and_recall_are_those_of_the_thresholds() -> None:
    curve = json.loads(_media.pr_curve([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1], 3).content)
    assert curve["thresholds"] == [0, 0.5, 1]
    assert (curve["truePositives"], curve["falsePositives"]) == ([2, 1, 0], [2, 1, 0])
    assert curve["precision"] == [0.5, 0.5, 0]
    assert curve["recall"] == [1, 0.5, 0]
    with pytest.raises(NotMedia):
        _media.pr_curve([1], [0.5, 0.5])
