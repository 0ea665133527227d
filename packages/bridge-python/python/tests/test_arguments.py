"""How the calls are spelt: arguments by position and by name, and arguments of the wrong kind."""

from __future__ import annotations

from pathlib import Path

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
    assert run.refused == {"inactive": 2, "step": 1}
    points = [(3, 0.5), (4, 1.0), (5, 1.5), (6, 2.0), (7, 2.5), (8, 3.0)]
    assert primary(only_run(folder)).points("loss") == points


def test_log_metric_by_name_while_disabled(folder: Path) -> None:
    run = tracelet.start_logging(backend="none")
    run.log_metric("loss", 0.5, iteration=3)
    run.log_metric("loss", 0.5, step=3)
    assert run.refused == {}
