"""What a backend is configured with: arguments beat variables, these beat .env; no secret is recorded."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from journal_reader import only_run, primary

import tracelet
from tracelet import TraceletSettings
from tracelet._backend_config import configure
from tracelet._backends import BACKENDS
from tracelet._config_key import Backend, Key

SERVICE = Backend(
    version="1.2.3",
    address="trackingUri",
    credential="token",
    alternatives=((("username", "password"), ("token",)), (("group",), ("groupId",))),
    keys={
        "trackingUri": Key(
            is_required=True, variables=("TRACELET_SERVICE_TRACKING_URI", "TRACELET_BACKEND_URL", "SERVICE_URI")
        ),
        "username": Key(is_credential=True, variables=("SERVICE_USER",)),
        "password": Key(is_secret=True, variables=("SERVICE_PASSWORD",)),
        "token": Key(is_secret=True, variables=("TRACELET_API_KEY", "SERVICE_TOKEN")),
        "group": Key(variables=("SERVICE_GROUP",)),
        "groupId": Key(variables=("SERVICE_GROUP_ID",)),
        "isLax": Key(type="boolean", variables=("SERVICE_LAX",)),
        "size": Key(type="number", variables=("SERVICE_SIZE",)),
        "timeout": Key(unit="seconds", variables=("SERVICE_TIMEOUT",)),
    },
)


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "service", SERVICE)


def configured(**values: object) -> tuple[object, object]:
    configs, secrets = configure(TraceletSettings(backend="service", **values), ["service"])
    return configs["service"], secrets.get("service", {})


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records)


def test_variables_give_the_config_and_the_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SERVICE_URI": "http://host",
        "SERVICE_USER": "me",
        "SERVICE_PASSWORD": "geheim",
        "SERVICE_LAX": "True",
        "SERVICE_SIZE": "7",
        "SERVICE_TIMEOUT": "90",
        "SERVICE_GROUP": "",
    }.items():
        monkeypatch.setenv(name, value)
    config = {"trackingUri": "http://host", "username": "me", "isLax": True, "size": 7, "timeout": "90 seconds"}
    assert configured() == (config, {"password": "geheim"})
    monkeypatch.setenv("SERVICE_TIMEOUT", "2 minutes")
    monkeypatch.setenv("SERVICE_SIZE", "large")
    public, _ = configured()
    # Of the last nothing can be made: the agent says what is wanted.
    assert public == {**config, "timeout": "2 minutes", "size": "large"}


def test_order_of_precedence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def uri(**values: object) -> object:
        public, _ = configured(**values)
        assert isinstance(public, dict)
        return public.get("trackingUri")

    (tmp_path / ".env").write_text("SERVICE_URI=http://file\nTRACELET_SERVICE_TRACKING_URI=http://own-in-file\n")
    assert uri() == "http://own-in-file"
    monkeypatch.setenv("SERVICE_URI", "http://theirs")
    assert uri() == "http://theirs"
    monkeypatch.setenv("TRACELET_BACKEND_URL", "http://common")
    assert uri() == "http://common"
    monkeypatch.setenv("TRACELET_SERVICE_TRACKING_URI", "http://own")
    assert uri() == "http://own"
    assert uri(backend_url="http://argument") == "http://argument"
    assert uri(backend_url="http://argument", service={"tracking_uri": "http://dictionary"}) == "http://dictionary"


def test_keys_may_be_written_as_python_or_the_plugin_does_or_as_every_backend_has_them() -> None:
    wanted = ({"trackingUri": "http://host", "groupId": "7"}, {"token": "geheim"})
    assert configured(service={"tracking_uri": "http://host", "group_id": "7", "api_key": "geheim"}) == wanted
    assert configured(service={"trackingUri": "http://host", "groupId": "7", "token": "geheim"}) == wanted
    assert configured(backend_url="http://host", api_key="geheim", service={"groupId": "7"}) == wanted


def test_no_other_way_to_say_what_was_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SERVICE_USER=me\nSERVICE_PASSWORD=geheim-1\nSERVICE_GROUP_ID=7\n")
    monkeypatch.setenv("SERVICE_GROUP", "g")
    assert configured(backend_url="http://h", api_key="geheim-2") == (
        {"trackingUri": "http://h", "group": "g"},
        {"token": "geheim-2"},
    )


def test_a_user_in_the_address_is_a_secret() -> None:
    assert configured(backend_url="https://me%40home:p@ss:w%2Frd@host/path") == (
        {"trackingUri": "https://host/path"},
        {"username": "me@home", "password": "p@ss:w/rd"},
    )
    assert configured(backend_url="https://token@host") == ({"trackingUri": "https://host"}, {"username": "token"})
    # One that is no address keeps its place, and the whole of it is handed over.
    assert configured(backend_url="http://h", service={"group": "http://u:geheim@g"}) == (
        {"trackingUri": "http://h", "group": "http://g"},
        {"group": "http://u:geheim@g"},
    )


def test_unknown_keys_are_named_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tracelet"):
        public, _ = configured(
            service={"tracking_url": "http://host", "trackingUri": "http://host", "pasword": "geheim"}
        )
    assert public == {"trackingUri": "http://host"}
    assert said(caplog) == (
        "tracelet: unknown settings: service.tracking_url (did you mean service.trackingUri?), "
        "service.pasword (did you mean service.password?)"
    )


def test_what_is_missing_is_named_with_the_variables_that_give_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tracelet"):
        configured()
    assert said(caplog) == (
        "tracelet: backend service needs trackingUri: set SERVICE_URI or TRACELET_BACKEND_URL or "
        "TRACELET_SERVICE_TRACKING_URI, or pass backend_url"
    )


def test_the_record_names_plugin_and_version_and_no_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "geheim")
    run = tracelet.start_logging(backend="service", backend_url="http://host")
    assert run.refused == {}
    tracelet.stop_logging()
    started = primary(only_run(folder)).events[0]["payload"]
    assert started["backends"] == [
        {"name": "service", "plugin": "backend.service", "version": "1.2.3", "config": {"trackingUri": "http://host"}}
    ]
    for file in folder.rglob("*"):
        assert not file.is_file() or b"geheim" not in file.read_bytes()
    assert "geheim" not in repr(run.settings)
