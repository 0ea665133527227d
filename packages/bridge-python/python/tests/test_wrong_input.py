"""Wrong and rare input: stored as it is, or refused with a count and one warning; never an exception."""

from __future__ import annotations

import argparse
import dataclasses
import enum
import logging
import math
import pathlib
import struct
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from journal_reader import only_run, primary

import tracelet

LIMIT = 2**53 - 1


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


class Fails:
    def __float__(self) -> float:
        raise RuntimeError("no")

    def __repr__(self) -> str:
        raise RuntimeError("no")


class Tensor:
    """Like a tensor of one element."""

    shape = (1,)

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def item(self) -> Any:
        if isinstance(self.inner, Exception):
            raise self.inner
        return self.inner


class Level(str, enum.Enum):
    LOSS = "loss"


STORED = [
    (1, 1.0),
    (True, 1.0),
    (False, 0.0),
    (math.nan, math.nan),
    (math.inf, math.inf),
    (-math.inf, -math.inf),
    (-0.0, -0.0),
    (5e-324, 5e-324),
    (2**53 + 1, float(2**53)),
    (2**53 + 3, float(2**53 + 4)),
    (-(10**300), -1e300),
    (Decimal("0.1"), 0.1),
    (Decimal("Infinity"), math.inf),
    (Fraction(1, 3), 1 / 3),
    (Tensor(0.5), 0.5),
    (Tensor(3), 3.0),
    (Tensor(True), 1.0),
]
REFUSED = [
    "1.0",
    b"1",
    None,
    1j,
    10**400,
    Decimal("1e400"),
    Decimal("sNaN"),
    Fraction(10**400),
    [1.0],
    {"a": 1},
    object(),
    float,
    Fails(),
    Tensor("0.5"),
    Tensor(None),
    Tensor(ValueError("only one element tensors can be converted")),
]


def test_values_are_stored_bit_for_bit(folder: Path) -> None:
    """J5.21"""
    run = tracelet.start_logging("values")
    for value, _ in STORED:
        run.log_metric("by log_metric", value)
        run.log({"by log": value})
    tracelet.stop_logging()
    assert run.refused == {}
    view = primary(only_run(folder))
    want = [bits(stored) for _, stored in STORED]
    assert [bits(value) for _, value in view.points("by log_metric")] == want
    assert [bits(value) for _, value in view.points("by log")] == want


def test_what_is_no_number_is_refused(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """J5.25: counted, and said once."""
    run = tracelet.start_logging("no values")
    with caplog.at_level(logging.WARNING, "tracelet"):
        for value in REFUSED:
            run.log_metric("m", value, 0)
            run.log({"m": value}, 0)
            run.log({"m": value}, 0, {"a": 1})
        run.log([1, 2])  # type: ignore[arg-type]
    assert run.refused == {"value": 3 * len(REFUSED) + 1}
    assert len([r for r in caplog.records if "not one number" in r.getMessage()]) == 1
    tracelet.stop_logging()
    assert f"{3 * len(REFUSED) + 1} values refused" in caplog.records[-1].getMessage()
    assert primary(only_run(folder)).points() == []


def test_numpy(folder: Path) -> None:
    np = pytest.importorskip("numpy")
    stored = [np.float16(0.1), np.float32(0.1), np.float64(-0.0), np.int8(-3), np.uint64(2**64 - 1), np.bool_(True)]
    stored += [np.array(0.5), np.array([0.5]), np.array([[7]]), np.longdouble("0.5")]
    refused = [np.array([1.0, 2.0]), np.array([]), np.str_("3"), np.datetime64("2020-01-01"), np.timedelta64(3, "s")]
    refused += [np.complex64(1), np.array("x", dtype=object), np.array(None, dtype=object)]
    # What lies under a mask is no value; the rest of a masked array is.
    refused += [np.ma.masked, np.ma.array([5.0], mask=[True])]
    stored += [np.ma.array([5.0], mask=[False])]
    run = tracelet.start_logging("numpy")
    for value in [*stored, *refused]:
        run.log_metric("m", value)
    run.log_metric("s", 1.0, np.int64(5))
    run.log_metric("s", 1.0, np.array(6))
    run.log_params({"f": np.float32(0.5), "i": np.int64(2**60), "n": np.array([math.nan, 1]), "big": np.zeros(20_000)})
    tracelet.stop_logging()
    assert run.refused == {"value": len(refused)}
    view = primary(only_run(folder))
    want = [float(np.float16(0.1)), float(np.float32(0.1)), -0.0, -3.0, 2.0**64, 1.0, 0.5, 0.5, 7.0, 0.5, 5.0]
    assert [value for _, value in view.points("m")] == want
    assert [step for step, _ in view.points("s")] == [5, 6]
    params = view.payloads("params")[0]["params"]
    assert (params["f"], params["i"], params["n"]) == (0.5, str(2**60), ["NaN", 1.0])
    assert "20000" in params["big"]


@pytest.mark.torch
def test_torch(folder: Path) -> None:
    torch = pytest.importorskip("torch")
    stored = [torch.tensor(0.5), torch.tensor([0.25]), torch.tensor([[3]]), torch.tensor(True)]
    stored += [torch.tensor(1.5, dtype=torch.bfloat16), torch.tensor(0.1, dtype=torch.float16)]
    stored += [torch.tensor(2.5, requires_grad=True), torch.tensor(math.nan)]
    refused = [torch.tensor([1.0, 2.0]), torch.tensor([]), torch.empty(1, device="meta"), torch.tensor(1j)]
    run = tracelet.start_logging("torch")
    for value in [*stored, *refused]:
        run.log_metric("m", value)
    run.log_metric("s", 1.0, torch.tensor(5))
    run.log_params({"t": torch.tensor([1, 2]), "dtype": torch.float32, "bf": torch.tensor(1.5, dtype=torch.bfloat16)})
    tracelet.stop_logging()
    assert run.refused == {"value": len(refused)}
    view = primary(only_run(folder))
    values = [value for _, value in view.points("m")]
    assert values[:5] == [0.5, 0.25, 3.0, 1.0, 1.5]
    assert values[6] == 2.5
    assert math.isnan(values[7])
    assert view.points("s") == [(5, 1.0)]
    assert view.payloads("params")[0]["params"] == {"t": [1, 2], "dtype": "torch.float32", "bf": 1.5}


def test_steps(folder: Path) -> None:
    """J5.20: negative, repeated and late ones are legal; beyond ±(2^53 - 1) they are refused."""
    good = [0, -1, 5, 5, 2, LIMIT, -LIMIT, True, 3.0, Tensor(4)]
    bad: list[Any] = [LIMIT + 1, -LIMIT - 1, 10**30, 1.5, "1", math.nan, math.inf, [1], Fails()]
    run = tracelet.start_logging("steps")
    for step in [*good, *bad]:
        run.log_metric("m", 1.0, step)
        run.log({"n": 1}, step)
    run.log({"o": 1.0}, LIMIT)
    run.log({"o": 1.0})  # the one after the greatest
    run.set_iteration("x")  # type: ignore[arg-type]
    tracelet.stop_logging()
    assert run.refused == {"step": 2 * len(bad) + 2}
    view = primary(only_run(folder))
    assert [step for step, _ in view.points("m")] == [0, -1, 5, 5, 2, LIMIT, -LIMIT, 1, 3, 4]
    assert view.points("m") == view.points("n")


GOOD_NAMES = [
    "__proto__",
    "a/b",
    "x" * 1024,
    "é" * 512,
    "a\0b\n\t",
    "\u200b",
    "📉",
    " ",
    '"',
    "\\",
    "constructor",
    "\ufeff",
]
BAD_NAMES: list[Any] = [
    "",
    "x" * 1025,
    "é" * 513,
    "x" * 1_000_000,
    "\ud800",
    "a\udfffb",
    5,
    None,
    1.5,
    b"loss",
    (),
    ("a", "{}"),
    [],
    {},
]


def test_names(folder: Path) -> None:
    """J5.22"""
    run = tracelet.start_logging("names")
    for name in [*GOOD_NAMES, *BAD_NAMES]:
        run.log_metric(name, 1.0, 0)
        run.log_metric(name, 1, 1)
        run.log_text(name, "text")
    run.log_metric(Level.LOSS, 1.0, 0)
    run.log_metric("loss", 1.0, 1)
    run.log_metric(Level.LOSS, 1.0, 2)
    tracelet.stop_logging()
    assert run.refused == {"name": 3 * len(BAD_NAMES)}
    view = primary(only_run(folder))
    for name in GOOD_NAMES:
        assert view.points(name) == [(0, 1.0), (1, 1.0)]
    assert view.points("loss") == [(0, 1.0), (1, 1.0), (2, 1.0)]
    assert {event["name"] for event in view.events if event["kind"] == "point"} == {*GOOD_NAMES, "loss"}
    assert [p["name"] for p in view.payloads("text")] == GOOD_NAMES
    assert view.damaged == 0


def test_contexts(folder: Path) -> None:
    """J5.23"""
    bad: list[Any] = [{str(n): 1 for n in range(17)}, {"a": "x" * 4096}, {"a": math.nan}, {"a": None}, {"a": []}]
    bad += [{1: 2}, {"\ud800": 1}, {"a": "\ud800"}, "text", 5]
    good: list[Any] = [{str(n): 1 for n in range(16)}, {"__proto__": "x"}, {"b": True, "f": 0.5, "i": 2**60}]
    run = tracelet.start_logging("contexts")
    for context in [*good, *bad]:
        run.log({"m": 1.0}, 0, context)
    for context in bad:
        run.log_text("t", "x", 0, context)
    tracelet.stop_logging()
    assert run.refused == {"context": 2 * len(bad)}
    contexts = [event["context"] for event in primary(only_run(folder)).events if event["kind"] == "point"]
    assert contexts == [good[0], good[1], {"b": True, "f": 0.5, "i": str(2**60)}]


@dataclasses.dataclass
class Config:
    lr: float
    path: Path


class Color(enum.Enum):
    RED = 1
    ODD = object()


def test_params_of_any_kind(folder: Path) -> None:
    """J5.8, J5.24"""
    circle: dict[str, Any] = {}
    circle["self"] = circle
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    run = tracelet.start_logging("params")
    run.log_params(
        {
            "nan": math.nan,
            "inf": [math.inf, -math.inf],
            "big": 2**53,
            "huge": -(10**5000),
            "limit": LIMIT,
            "negative zero": -0.0,
            "__proto__": {"x": None},
            "tuple": (1, {2, 1}),
            "keys": {1: "a", None: "b", 1.5: "c"},
            "path": pathlib.PurePosixPath("/a/b"),
            "enum": [Color.RED, Color.ODD, Level.LOSS],
            "dataclass": Config(0.1, Path("/x")),
            "namespace": argparse.Namespace(a=1),
            "type": dict,
            "decimal": Decimal("1.10"),
            "surrogate": "a\udc80b",
            "range": range(3),
            "object": object,
        }
    )
    run.log_params({"circle": circle, "deep": deep, "digits": 1 << 200_000, "fails": Fails(), "good": 1})
    run.log_params({5: 1, "": 2, "\ud800": 3, "x" * 1025: 4, "kept": 5})  # type: ignore[dict-item]
    run.log_params(argparse.Namespace(lr=0.5))  # type: ignore[arg-type]
    run.log_params("text")  # type: ignore[arg-type]
    run.log_hyperparameter([], 1)  # type: ignore[arg-type]
    tracelet.stop_logging()
    assert run.refused == {"param": 5, "name": 5}
    first, second, third, fourth = (p["params"] for p in primary(only_run(folder)).payloads("params"))
    assert first.pop("negative zero") == 0
    assert first == {
        "nan": "NaN",
        "inf": ["Infinity", "-Infinity"],
        "big": str(2**53),
        "huge": "-1" + "0" * 5000,
        "limit": LIMIT,
        "__proto__": {"x": None},
        "tuple": [1, [1, 2]],
        "keys": {"1": "a", "None": "b", "1.5": "c"},
        "path": "/a/b",
        "enum": [1, "ODD", "loss"],
        "dataclass": {"lr": 0.1, "path": "/x"},
        "namespace": {"a": 1},
        "type": "builtins.dict",
        "decimal": "1.10",
        "surrogate": "a\udc80b",
        "range": [0, 1, 2],
        "object": "builtins.object",
    }
    assert (second, third, fourth) == ({"good": 1}, {"kept": 5}, {"lr": 0.5})


def test_a_param_that_is_too_large_takes_no_other_with_it(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """J6.1"""
    run = tracelet.start_logging("large")
    run.log_params({"lr": 1, "weights": "y" * 70_000_000, "layers": [64]})
    tracelet.stop_logging()
    assert run.refused == {"size": 1}
    assert "the param 'weights' (str)" in caplog.text
    params = [p["params"] for p in primary(only_run(folder)).payloads("params")]
    assert params == [{"lr": 1}, {"layers": [64]}]


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Raising(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise Mute

    def __iter__(self) -> Any:
        raise Mute


def test_an_error_that_cannot_be_said_does_not_reach_the_caller(folder: Path) -> None:
    run = tracelet.start_logging("mute")
    for call in (run.log, run.log_params, run.set_tags):
        call(Raising(a=1))
    tracelet.stop_logging()
    assert run.refused == {"internal": 3}


def test_tags(folder: Path) -> None:
    """J5.9, J5.22"""
    run = tracelet.start_logging("tags")
    run.set_tags({"a": "x" * 65_536, "b": 5, "c": None})
    run.set_tags({"a": "x" * 65_537, "": "x", "\ud800": "x", 5: "x", "d": "\ud800"})  # type: ignore[dict-item]
    run.set_tags([6])  # type: ignore[list-item]
    run.set_tags(5)  # type: ignore[arg-type]
    tracelet.stop_logging()
    assert run.refused == {"tag": 2, "name": 4, "argument": 1}
    assert primary(only_run(folder)).payloads("tags")[0]["tags"] == {"a": "x" * 65_536, "b": "5", "c": ""}


def test_names_of_run_and_project(folder: Path) -> None:
    """J5.22"""
    run = tracelet.start_logging("x" * 2000, project="\ud800")
    assert (run.name, run.project) == (f"run-{run.id[:8]}", "default")
    assert run.refused == {"name": 2}
    run = tracelet.start_logging(5, project=[], backend=7, config="x")  # type: ignore[arg-type]
    assert (run.name, run.project, run.settings.backend) == (f"run-{run.id[:8]}", "default", ["local"])


def test_unknown_backend_is_recorded(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tracelet"):
        run = tracelet.start_logging("unknown", backend=["nope", "a b"])
    run.log_metric("loss", 1.0, 0)
    tracelet.stop_logging()
    view = primary(only_run(folder))
    assert [backend["name"] for backend in view.payloads("runStarted")[0]["backends"]] == ["nope"]
    assert view.points() == [(0, 1.0)]
    assert len([r for r in caplog.records if "unknown backend 'nope'" in r.getMessage()]) == 1


def test_a_backend_that_comes_separately_is_recorded_and_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracelet.start_logging("later", backend="local,wandb")
    tracelet.stop_logging()
    (line,) = [record.getMessage() for record in caplog.records]
    assert "backend 'wandb' does not come with this version, which brings local" in line
    assert ": what is recorded is kept" in line
    assert "can be delivered once its plugin is there" in line
    backends = primary(only_run(folder)).payloads("runStarted")[0]["backends"]
    assert [(each["name"], each["version"]) for each in backends] == [("local", tracelet.__version__), ("wandb", "")]


def test_warnings_show_in_a_plain_script(script: Any) -> None:
    done = script.run("import tracelet\nr = tracelet.start_logging('x')\nfor i in range(3): r.log_metric('m', 'no')")
    assert done.returncode == 0
    assert done.stderr.count("not one number was not recorded") == 1
    assert "3 values refused: 3 not one number" in done.stderr
