"""One request over a Unix socket, by hand: `http.client` takes longer to import than the agent takes to answer."""

from __future__ import annotations

import json
import socket

from ._payload import Json

# docs/spec/agent.md A5
ANSWER_BYTES_MAX = 1 << 20


class AgentError(Exception):
    """The agent did not answer, or not in a way that can be read."""


def request(
    address: str, token: str, method: str, path: str, body: dict[str, Json] | None = None, timeout: float = 2.0
) -> tuple[int, Json]:
    """Returns status and JSON of the answer (None where it has no body).

    Args:
        address: path of the Unix socket.
        timeout: seconds for each step of the exchange.

    Raises:
        AgentError: nobody listens there, or the answer is none.
    """
    data = json.dumps(body).encode("utf-8") if body is not None else b""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: tracelet\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(address)
            connection.sendall(head.encode("ascii") + data)
            return _parse(_read_all(connection))
    except (OSError, ValueError, AttributeError) as error:  # no AF_UNIX at all is an AttributeError
        raise AgentError(f"{method} {path}: {error}") from error


def is_listening(address: str) -> bool:
    """Tells whether a process accepts connections at a Unix socket; one that is only busy does."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(0.5)
            connection.connect(address)
    except (BlockingIOError, TimeoutError, socket.timeout):  # Its queue is full. Two names before Python 3.10.
        return True
    except (OSError, AttributeError):
        return False
    return True


def _read_all(connection: socket.socket) -> bytes:
    answer = bytearray()
    while len(answer) <= ANSWER_BYTES_MAX:
        part = connection.recv(65536)
        if not part:
            return bytes(answer)
        answer += part
        if _is_whole(answer):
            return bytes(answer)
    raise ValueError("the answer is longer than 1 MiB")


def _is_whole(answer: bytearray) -> bool:
    """Whether an answer with a Content-Length is all there, so that its end need not be waited for."""
    head, separator, body = bytes(answer).partition(b"\r\n\r\n")
    length = _headers(head).get("content-length") if separator else None
    return length is not None and len(body) >= int(length)


def _parse(answer: bytes) -> tuple[int, Json]:
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        raise ValueError("the answer ended early")
    status = int(head.split(b" ", 2)[1])
    if "chunked" in _headers(head).get("transfer-encoding", ""):
        body = _unchunk(body)
    return status, (json.loads(body) if body.strip() and status != 401 else None)


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip().lower() for name, _, value in pairs}


def _unchunk(body: bytes) -> bytes:
    whole = bytearray()
    while True:
        size, separator, body = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16) if separator else 0
        if length == 0:
            return bytes(whole)
        whole += body[:length]
        body = body[length + 2 :]
