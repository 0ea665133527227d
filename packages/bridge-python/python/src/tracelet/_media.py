"""What is logged at a step and is no number, as the bytes of a file: histograms, tables, figures, sounds, curves."""

from __future__ import annotations

import math
import os
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from ._array import NotArray, flatten, shape_of, to_host
from ._payload import Json, NotJson, encode, to_json
from ._pictures import MEDIA_BYTES_MAX, NotMedia, image_type, read_file, to_image, to_video

# J5.11
COUNTS_MAX = 4_096
JSON = "application/json"


class Medium(NamedTuple):
    """A file, its media type, and what the record says besides."""

    media_type: str
    content: bytes
    fields: Mapping[str, Json] = MappingProxyType({})


def image(value: object, layout: str | None = None) -> Medium:
    """An image, as `_pictures.to_image` takes it."""
    return Medium(*to_image(value, layout))


def video(value: object, fps: float) -> Medium:
    """A video, as `_pictures.to_video` takes it."""
    return Medium(*to_video(value, fps))


def as_json(value: object) -> Medium:
    """Anything that has a JSON form.

    Raises:
        NotMedia: it has none.
    """
    try:
        return Medium(JSON, encode(to_json(value)))
    except NotJson as error:
        raise NotMedia(str(error)) from None


def histogram(values: object, bins: int = 64) -> Medium:
    """Counts of values, or `{"edges": …, "counts": …}`, or the pair that `numpy.histogram` returns.

    Raises:
        NotMedia: no value is finite, or edges and counts are not what J5.11 asks for.
    """
    try:
        given = _given(values)
        edges, counts = given if given is not None else _count(values, bins)
    except NotArray as error:
        raise NotMedia(str(error)) from None
    if not 1 <= len(counts) <= COUNTS_MAX or len(edges) != len(counts) + 1:
        raise NotMedia(f"a histogram has 1 to {COUNTS_MAX} counts, and one edge more")
    if not all(map(math.isfinite, (*edges, *counts))):
        raise NotMedia("an edge or a count is no finite number")
    if any(later < earlier for earlier, later in zip(edges, edges[1:])):
        raise NotMedia("the edges do not ascend")
    fields: dict[str, Json] = {"edges": list(edges), "counts": list(counts)}
    return Medium(JSON, encode(fields), fields)


def _given(values: object) -> tuple[list[float], list[float]] | None:
    if isinstance(values, Mapping):
        return flatten(values.get("edges", ())), flatten(values.get("counts", ()))
    if isinstance(values, tuple) and len(values) == 2 and all(shape_of(each) for each in values):
        counts, edges = flatten(values[0]), flatten(values[1])
        if len(edges) == len(counts) + 1:
            return edges, counts
    return None


def _count(values: object, bins: int) -> tuple[list[float], list[float]]:
    if not isinstance(bins, int) or not 1 <= bins <= COUNTS_MAX:
        raise NotMedia(f"bins must be a whole number from 1 to {COUNTS_MAX}")
    array = to_host(values)
    numpy = sys.modules.get("numpy")
    if numpy is not None and getattr(getattr(array, "dtype", None), "kind", "-") in "biuf":
        shape_of(array)
        flat = numpy.asarray(array, dtype="float64").ravel()
        flat = flat[numpy.isfinite(flat)]
        if flat.size == 0:
            raise NotMedia("no value is a finite number")
        with numpy.errstate(all="ignore"):
            if numpy.isfinite(flat.max() - flat.min()):
                counted, limits = numpy.histogram(flat, bins)
                return limits.tolist(), [float(count) for count in counted]
        array = flat
    finite = [each for each in flatten(array) if math.isfinite(each)]
    if not finite:
        raise NotMedia("no value is a finite number")
    low, high = min(finite), max(finite)
    if low == high:
        low, high = low - 0.5, high + 0.5
    # Halves, since the range of two float64 may be none.
    half = high / 2 - low / 2
    width = half / (bins / 2)
    counts = [0.0] * bins
    for each in finite:
        counts[min(bins - 1, int((each / 2 - low / 2) / half * bins) if half else 0)] += 1
    return [*(low + i * width for i in range(bins)), high], counts


def table(data: object, columns: object = None) -> Medium:
    """Rows as dictionaries, columns as lists by their names, `{"columns", "data"}`, rows as lists, or a data frame.

    Raises:
        NotMedia: it is none of these.
    """
    names, rows = _rows(data, columns)
    if any(len(row) != len(names) for row in rows):
        raise NotMedia("a row has more or fewer cells than there are columns")
    return as_json({"columns": names, "data": rows})


def _rows(data: object, columns: object) -> tuple[list[str], list[list[object]]]:
    to_dict = getattr(data, "to_dict", None)
    if callable(to_dict) and hasattr(data, "columns"):
        try:
            split: object = to_dict(orient="split")  # pandas
        except TypeError:
            split = to_dict(as_series=False)  # polars
        return _rows(split, None)
    if isinstance(data, Mapping):
        if "columns" in data and "data" in data:
            return _rows(data["data"], data["columns"])
        lists = [list(column) for column in data.values()]
        length = max(map(len, lists), default=0)
        return [str(name) for name in data], [
            [column[at] if at < len(column) else None for column in lists] for at in range(length)
        ]
    array = to_host(data)
    to_list = getattr(array, "tolist", None)
    rows = to_list() if callable(to_list) else array
    if not isinstance(rows, (list, tuple)):
        raise NotMedia("it is no table: rows as dictionaries, columns as lists, or a data frame")
    if rows and all(isinstance(row, Mapping) for row in rows):
        found = list(dict.fromkeys(str(name) for row in rows for name in row))
        return found, [[{str(key): cell for key, cell in row.items()}.get(name) for name in found] for row in rows]
    if not all(isinstance(row, (list, tuple)) for row in rows):
        raise NotMedia("a row is neither a dictionary nor a list")
    if columns is None:
        columns = [str(at) for at in range(max(map(len, rows), default=0))]
    if isinstance(columns, str) or not isinstance(columns, Iterable):
        raise NotMedia("columns is no list of names")
    return [str(name) for name in columns], [list(row) for row in rows]


def figure(value: object) -> Medium:
    """A figure of matplotlib or Plotly, a picture, or the text of an SVG or an HTML page, or the path of a file of it.

    Raises:
        NotMedia: it is none of these.
    """
    for name in ("to_plotly_json", "to_dict"):
        convert = getattr(value, name, None)
        if callable(convert) and hasattr(value, "layout"):
            value = convert()
            break
    if isinstance(value, Mapping):
        if "data" not in value:
            raise NotMedia("a dictionary without data is nothing that Plotly draws")
        return Medium("application/vnd.plotly.v1+json", as_json(value).content)
    if isinstance(value, str) and value.lstrip()[:1] == "<":
        media_type = "image/svg+xml" if _is_svg(value) else "text/html"
        return Medium(media_type, value.encode("utf-8", "replace"))
    content = read_file(value) if isinstance(value, (str, os.PathLike)) else value
    if isinstance(content, bytes) and image_type(content) is None and content.lstrip()[:1] == b"<":
        return figure(content.decode("utf-8", "replace"))
    return Medium(*to_image(content))


def _is_svg(text: str) -> bool:
    head = text[:1_024].lower()
    return "<svg" in head and "<html" not in head and "<!doctype html" not in head


def audio(value: object, rate: float) -> Medium:
    """Samples from -1 to 1, of one channel, or of two (L, C or C, L), as WAV of 16 bits.

    Raises:
        NotMedia: it is no such array.
    """
    array = to_host(value)
    try:
        shape = [axis for axis in shape_of(array) if axis != 1] or [1]
        samples = flatten(array)
    except NotArray as error:
        raise NotMedia(str(error)) from None
    if len(shape) > 2 or (len(shape) == 2 and 2 not in shape) or not samples:
        raise NotMedia(f"an array of shape {tuple(shape)} is no sound: one or two channels of samples")
    channels = len(shape)
    if channels == 2 and shape[1] != 2:  # C, L
        half = len(samples) // 2
        samples = [each for pair in zip(samples[:half], samples[half:]) for each in pair]
    # What is beyond ±1 is cut off, NaN is silence.
    whole = [int(max(-1.0, min(1.0, each)) * 32_767) if each == each else 0 for each in samples]
    data = struct.pack(f"<{len(whole)}h", *whole)
    head = struct.pack("<IHHIIHH", 16, 1, channels, int(rate), int(rate) * 2 * channels, 2 * channels, 16)
    body = b"WAVEfmt " + head + b"data" + struct.pack("<I", len(data)) + data
    return Medium("audio/wav", b"RIFF" + struct.pack("<I", len(body)) + body)


def pr_curve(labels: object, predictions: object, thresholds: int = 127, weights: object = None) -> Medium:
    """The precision and recall of predictions from 0 to 1 at evenly spaced thresholds.

    Raises:
        NotMedia: there are not as many labels as predictions, or they are no numbers.
    """
    try:
        truth, scores = flatten(labels), flatten(predictions)
        weighs = [1.0] * len(truth) if weights is None else flatten(weights)
    except NotArray as error:
        raise NotMedia(str(error)) from None
    if not truth or len(truth) != len(scores) or (len(weighs) not in (1, len(truth))):
        raise NotMedia("there must be as many labels as predictions")
    if len(weighs) == 1:
        weighs = weighs * len(truth)
    count = max(2, int(thresholds))
    # What falls into bucket i is above the thresholds up to i.
    hits, misses = [0.0] * count, [0.0] * count
    for is_true, score, weight in zip(truth, scores, weighs):
        bucket = min(count - 1, max(0, int(score * (count - 1)) if score == score else 0))
        (hits if is_true else misses)[bucket] += weight
    for each in (hits, misses):
        for at in range(count - 2, -1, -1):
            each[at] += each[at + 1]
    return pr_counts(hits, misses, [misses[0] - each for each in misses], [hits[0] - each for each in hits])


def pr_counts(
    true_positives: Sequence[float],
    false_positives: Sequence[float],
    true_negatives: Sequence[float],
    false_negatives: Sequence[float],
) -> Medium:
    """The same of counts at evenly spaced thresholds from 0 to 1."""
    count = len(true_positives)
    least = 1e-7
    return as_json(
        {
            "thresholds": [at / max(1, count - 1) for at in range(count)],
            "precision": [tp / max(least, tp + fp) for tp, fp in zip(true_positives, false_positives)],
            "recall": [tp / max(least, tp + fn) for tp, fn in zip(true_positives, false_negatives)],
            "truePositives": list(true_positives),
            "falsePositives": list(false_positives),
            "trueNegatives": list(true_negatives),
            "falseNegatives": list(false_negatives),
        }
    )


def checked(medium: Medium) -> Medium:
    """Returns the medium.

    Raises:
        NotMedia: it has more than 64 MiB.
    """
    if len(medium.content) > MEDIA_BYTES_MAX:
        raise NotMedia("it has more than 64 MiB")
    return medium
