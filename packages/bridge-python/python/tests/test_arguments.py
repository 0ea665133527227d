"""How the calls are spelt: arguments by position and by name, and arguments of the wrong kind."""

from __future__ import annotations

import pydoc
import re
from pathlib import Path
from typing import Any

import pytest
from journal_reader import only_run, primary

import tracelet


def test_log_metric_takes_its_arguments_by_name_in_every_state(folder: Path) -> None:
    run = tracelet.Experiment("by name")
    run.log_metric("early", value=0.5, iteration=1)
    run.start()
    run.log_metric("loss", 0.5, iteration=3)
    run.log_metric(name="loss", value=1, iteration=4)
    run.log_metric("loss", 1.5, step=5)
    run.log_metric("loss", 2, step=6)
    run.log_metric("loss", 2.5, iteration=7, step=99)
    run.log_metric("loss", 3.0, None, None)
    run.log_metric("loss", 3.5, step=1.5)  # type: ignore[arg-type]
    run.stop()
    run.log_metric("late", 0.5, step=8)
    assert run.refused == {"inactive": 2, "step": 1, "argument": 1}  # the last: step=99 beside iteration=7
    points = [(3, 0.5), (4, 1.0), (5, 1.5), (6, 2.0), (7, 2.5), (8, 3.0)]
    assert primary(only_run(folder)).points("loss") == points


def test_help_shows_what_a_user_calls(folder: Path) -> None:
    """Whether the run goes on or not: not what stands in for a method then, nor the types that it is quick for."""
    texts = []
    run = tracelet.Experiment("help")
    for step in (run.start, run.stop, lambda: None):
        texts.append(pydoc.plain(pydoc.render_doc(run.log_metric)))
        step()
    assert texts[0] == texts[1] == texts[2]
    assert "log_metric(name: 'str', value: 'object', iteration: 'int | None' = None" in texts[0]
    assert "method of tracelet._experiment.Experiment instance" in texts[0]
    public = [getattr(tracelet, name) for name in tracelet.__all__ if name != "__version__"]
    for text in (*texts, *(pydoc.plain(pydoc.render_doc(thing)) for thing in public)):
        assert not re.search(r"\bWriter\b|SeriesKey|_writer", text)


def test_log_metric_by_name_while_disabled(folder: Path) -> None:
    run = tracelet.start_logging(backend="none")
    run.log_metric("loss", 0.5, iteration=3)
    run.log_metric("loss", 0.5, step=3)
    assert run.refused == {}


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("is_off", [False, True])
def test_arguments_of_the_wrong_kind_are_passed_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_off: bool
) -> None:
    if is_off:
        monkeypatch.setenv("TRACELET_DISABLED", "1")
    wrong: Any = 5
    for run in (
        tracelet.start_logging(config={"tags": wrong}),
        tracelet.Experiment("q", tags=wrong),
        tracelet.Experiment("q", config=wrong),
        tracelet.Experiment(settings=wrong),
    ):
        assert run.refused == {"argument": 1}
    lines = [record.getMessage() for record in caplog.records]
    assert [line.count("5 (int)") for line in lines] == [1, 1, 1, 1]
    assert all("an argument of the wrong kind was passed over" in line for line in lines)


def test_set_tags_refuses_what_it_cannot_take(folder: Path) -> None:
    run = tracelet.start_logging("tags")
    run.set_tags(5)  # type: ignore[arg-type]
    run.set_tags({"good": "x", "bad": Unshowable(), Unshowable(): "y"})  # type: ignore[dict-item]
    tracelet.stop_logging()
    assert run.refused == {"argument": 1, "tag": 1, "name": 1}
    assert primary(only_run(folder)).payloads("tags")[0]["tags"] == {"good": "x"}


@pytest.mark.parametrize("wrong", ["x", "5", float("nan"), [], {}, object()])
def test_stop_logging_passes_over_what_is_no_time(folder: Path, caplog: pytest.LogCaptureFixture, wrong: Any) -> None:
    run = tracelet.start_logging("stop")
    tracelet.stop_logging(wait=wrong, timeout=wrong)
    assert run.refused == {"argument": 2}
    assert "an argument of the wrong kind was passed over: wait=" in caplog.records[0].getMessage()
    assert primary(only_run(folder)).payloads("runFinished")[0]["status"] == "finished"
