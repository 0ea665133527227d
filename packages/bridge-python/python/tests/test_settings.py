"""Settings: arguments beat variables, variables beat .env, that beats defaults; what cannot be used is said."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import tracelet
from tracelet import TraceletSettings


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records)


def test_defaults() -> None:
    settings = TraceletSettings()
    assert (settings.project, settings.experiment_name, settings.backend) == ("default", None, ["local"])
    assert (settings.api_key, settings.backend_url, settings.metrics_interval) == (None, None, 10.0)
    flags = [settings.track_tensorboard, settings.track_lightning, settings.track_system, settings.track_git]
    assert [*flags, settings.track_env] == [True] * 5
    assert (settings.stop_wait, settings.stop_timeout, settings.sigterm_timeout) == ("auto", 300.0, 20.0)


def test_order_of_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(
        "# a comment\nexport TRACELET_PROJECT='from file'\nTRACELET_BACKEND=\"aim\"  # why\n"
        "TRACELET_METRICS_INTERVAL = 3 # seconds\nOTHER=1\nnonsense\nTRACELET_TRACK_GIT=off\n"
    )
    settings = TraceletSettings()
    assert (settings.project, settings.backend, settings.metrics_interval) == ("from file", ["aim"], 3.0)
    assert settings.track_git is False
    monkeypatch.setenv("TRACELET_PROJECT", "from variable")
    monkeypatch.setenv("TRACELET_BACKEND", "mlflow, wandb,mlflow")
    assert TraceletSettings().project == "from variable"
    assert TraceletSettings().backend == ["mlflow", "wandb"]
    assert TraceletSettings(project="from argument", backend=["local"]).project == "from argument"
    run = tracelet.start_logging(project="from call", config={"project": "from config"})
    assert (run.project, run.settings.backend) == ("from call", ["mlflow", "wandb"])


def test_aliases(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = TraceletSettings(project_name="p", track_system_metrics=False)
    assert (settings.project, settings.project_name) == ("p", "p")
    assert (settings.track_system, settings.track_system_metrics) == (False, False)
    monkeypatch.setenv("TRACELET_PROJECT_NAME", "v")
    assert TraceletSettings().project == "v"


def test_unknown_keys_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tracelet"):
        TraceletSettings(projct="x", whatever=1, wandbb={"entity": "x"}, wandb={"entity": "y"})
    assert len(caplog.records) == 1
    for part in ("projct (did you mean project?)", "whatever", "wandbb (did you mean wandb?)"):
        assert part in said(caplog)


def test_misspelt_variables_are_named(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("TRACELET_BACKENDS", "mlflow")
    monkeypatch.setenv("TRACELET_MLFLOW_TRACKING_URI", "http://x")
    TraceletSettings()
    assert [r.getMessage() for r in caplog.records] == [
        "tracelet: unknown variable TRACELET_BACKENDS (did you mean TRACELET_BACKEND?)"
    ]


def test_bad_values_are_passed_over(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("TRACELET_METRICS_INTERVAL", "soon")
    settings = TraceletSettings(track_git="perhaps", backend=5, stop_timeout=-1)
    assert (settings.track_git, settings.backend, settings.metrics_interval, settings.stop_timeout) == (
        True,
        ["local"],
        10.0,
        300.0,
    )
    assert len([line for line in said(caplog).split("\n") if "was passed over" in line]) == 4


def test_what_has_no_effect_yet_is_taken_and_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    TraceletSettings(track_tensorboard=False)
    tracelet.ExperimentConfig()
    assert caplog.records == []
    monkeypatch.setenv("TRACELET_METRICS_INTERVAL", "3")
    settings = TraceletSettings(track_system_metrics=False, track_git=True)
    assert (settings.track_system, settings.track_git, settings.metrics_interval) == (False, True, 3.0)
    config = tracelet.ExperimentConfig(True, track_git=False)
    assert (config.track_metrics, config.track_git, config.track_args) == (True, False, True)
    assert said(caplog).split("\n") == [
        "tracelet: this version does not act on the settings track_system, track_git, metrics_interval yet",
        "tracelet: this version does not act on track_metrics, track_git of ExperimentConfig yet",
    ]


def test_secrets_do_not_show(caplog: pytest.LogCaptureFixture) -> None:
    assert "geheim" not in repr(TraceletSettings(api_key="geheim", backend_url="http://geheim"))


def test_backend_configuration() -> None:
    settings = TraceletSettings(backend="mine,wandb", wandb={"entity": "x"}, mine={"a": 1})
    assert settings.backend_config == {"wandb": {"entity": "x"}, "mine": {"a": 1}}
