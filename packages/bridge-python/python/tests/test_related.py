"""Runs that belong to others: nested in one, and one that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from journal_reader import read_run

import tracelet


def started(folder: Path, run: str) -> list[dict[str, Any]]:
    views = read_run(folder / "runs" / run, run)
    return [event["payload"] for view in views.values() for event in view.events if event["kind"] == "runStarted"]


def test_a_nested_run_names_its_parent(folder: Path) -> None:
    with tracelet.start_logging("sweep") as outer:
        inner = tracelet.Experiment("trial", parent=outer).start()
        inner.log({"loss": 1.0})
        inner.stop()
        named = tracelet.Experiment("named", parent=outer.id).start()
        named.stop()
        wrong = tracelet.Experiment("wrong", parent=5).start()  # type: ignore[arg-type]
        wrong.stop()
    assert [record["parent"] for record in started(folder, inner.id)] == [outer.id]
    assert [record["parent"] for record in started(folder, named.id)] == [outer.id]
    assert "parent" not in started(folder, wrong.id)[0]
    assert wrong.refused == {"argument": 1}
    by_config = tracelet.start_logging("config", config={"parent": outer.id})
    tracelet.stop_logging()
    assert started(folder, by_config.id)[0]["parent"] == outer.id


def test_a_resumed_run_goes_on_under_its_id(folder: Path) -> None:
    """J10.3"""
    first = tracelet.start_logging("long")
    first.log({"loss": 1.0}, step=0)
    tracelet.stop_logging()
    again = tracelet.start_logging("long", config={"resume": first.id})
    again.log({"loss": 0.5}, step=1)
    tracelet.stop_logging()
    assert again.id == first.id
    views = list(read_run(folder / "runs" / first.id, first.id).values())
    assert sorted(point for view in views for point in view.points("loss")) == [(0, 1.0), (1, 0.5)]
    assert sorted(bool(view.identity.get("resumes")) for view in views) == [False, True]
    assert again.refused == {}


def test_a_run_that_is_not_there_is_not_resumed(folder: Path) -> None:
    run = tracelet.start_logging("new", config={"resume": "nowhere"})
    tracelet.stop_logging()
    assert run.id != "nowhere"
    assert run.refused == {"argument": 1}
    assert len(started(folder, run.id)) == 1
