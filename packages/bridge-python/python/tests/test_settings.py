"""Settings: arguments beat variables, variables beat .env, that beats defaults; what cannot be used is said."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import tracelet
from tracelet import TraceletSettings
from tracelet.settings import flag


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
    monkeypatch.setenv("TRACELET_DISABLE", "1")
    TraceletSettings()
    assert sorted(r.getMessage() for r in caplog.records) == [
        "tracelet: unknown variable TRACELET_BACKENDS (did you mean TRACELET_BACKEND?)",
        "tracelet: unknown variable TRACELET_DISABLE (did you mean TRACELET_DISABLED?)",
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


@pytest.mark.parametrize(
    ("variable", "wanted"),
    [
        ("STOP_WAIT", "auto, always or never (or true or false) is wanted; stop_timeout says how long"),
        ("STOP_TIMEOUT", "a number of seconds is wanted"),
        ("SIGTERM_TIMEOUT", "a number of seconds is wanted"),
        ("METRICS_INTERVAL", "a number of seconds is wanted"),
        ("TRACK_LIGHTNING", "true or false is wanted"),
    ],
)
def test_a_variable_of_which_nothing_can_be_made_is_said_with_what_is_wanted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variable: str, wanted: str
) -> None:
    monkeypatch.setenv(f"TRACELET_{variable}", "bogus")
    TraceletSettings()
    assert f"tracelet: TRACELET_{variable}='bogus' (str) was passed over: {wanted}" in said(caplog).split("\n")


def test_whether_to_wait_is_taken_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, expected in (("Never", "never"), (" ALWAYS ", "always"), ("auto", "auto"), ("no", "never")):
        monkeypatch.setenv("TRACELET_STOP_WAIT", value)
        assert TraceletSettings().stop_wait == expected


def test_variables_that_are_no_settings_say_once_what_they_were_taken_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tracelet.settings._said", set())
    monkeypatch.setenv("TRACELET_WRITER", "foo")
    for _ in range(2):
        tracelet.start_logging("with another writer")
        tracelet.stop_logging(wait=False)
    monkeypatch.setenv("TRACELET_AGENT", "perhaps")
    assert [flag("TRACELET_AGENT", default=True) for _ in range(2)] == [True, True]
    monkeypatch.setenv("TRACELET_DISABLED", "why not")
    for _ in range(2):
        assert tracelet.start_logging("off").is_disabled
    assert said(caplog).split("\n") == [
        "tracelet: TRACELET_WRITER='foo' (str) was passed over: mmap or write is wanted",
        "tracelet: TRACELET_AGENT='perhaps' (str) was taken for on: on or off is wanted",
        "tracelet: TRACELET_DISABLED='why not' (str) was taken for on: on or off is wanted",
    ]


def test_a_file_of_settings_does_not_reach_what_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tracelet.settings._said", set())
    (tmp_path / ".env").write_text("TRACELET_WRITER=write\nTRACELET_DIR=elsewhere\n")
    TraceletSettings()
    TraceletSettings()
    # TRACELET_DIR is in the environment of a test as well, and counts there.
    assert said(caplog).split("\n") == [
        "tracelet: TRACELET_WRITER in .env was passed over: it is no setting of a run, set it in the environment"
    ]


def test_what_has_no_effect_yet_is_taken_and_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    TraceletSettings(track_tensorboard=False)
    tracelet.ExperimentConfig()
    assert caplog.records == []
    monkeypatch.setenv("TRACELET_METRICS_INTERVAL", "3")
    settings = TraceletSettings(track_system_metrics=False, track_env=True)
    assert (settings.track_system, settings.track_env, settings.metrics_interval) == (False, True, 3.0)
    config = tracelet.ExperimentConfig(True, track_git=False, track_args=True)
    assert (config.track_metrics, config.track_git, config.track_args) == (True, False, True)
    assert said(caplog).split("\n") == [
        "tracelet: this version does not act on the settings track_system, track_env, metrics_interval yet",
        "tracelet: this version does not act on track_metrics, track_args of ExperimentConfig yet",
    ]


def test_secrets_do_not_show(caplog: pytest.LogCaptureFixture) -> None:
    assert "geheim" not in repr(TraceletSettings(api_key="geheim", backend_url="http://geheim"))


def test_backend_configuration() -> None:
    settings = TraceletSettings(backend="mine,wandb", wandb={"entity": "x"}, mine={"a": 1})
    assert settings.backend_config == {"wandb": {"entity": "x"}, "mine": {"a": 1}}
