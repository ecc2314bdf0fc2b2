"""The channel to a running broker: a socket in its data folder, with one line of JSON each way.

Both ends use this module, so it imports nothing of the broker. A question is ``{"command": NAME, "arguments": {...}}``,
its answer ``{"result": ...}`` or ``{"error": SENTENCE}``. Several questions may follow each other on a connection.
Only the user who owns the data may use the socket.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SOCKET_NAME = "control.sock"
MAXIMUM_SOCKET_PATH_LENGTH = 90
"""Maximum length of a socket's path in bytes. Systems allow some 100, however long the folder's own path is."""
SOCKET_FAMILY: int | None = getattr(socket, "AF_UNIX", None)
"""The family of sockets that have a path; None on Windows, where Python has none."""
MAXIMUM_QUESTION_LENGTH = 1 << 20
"""Maximum length of a question in bytes; answers have no limit."""


class ControlError(Exception):
    """The error of a question without a result; its message is one sentence for a person."""


def ask(data_dir: Path, command: str, timeout_s: float = 30.0, **arguments: Any) -> Any:
    """Ask the broker that has ``data_dir`` open, and return its answer's result. Raises ControlError."""
    if SOCKET_FAMILY is None:
        raise ControlError("a running broker cannot be asked on this platform")
    try:
        with socket.socket(SOCKET_FAMILY, socket.SOCK_STREAM) as sock, short_path(data_dir) as path:
            sock.settimeout(timeout_s)
            sock.connect(path)
            sock.sendall(line_of({"command": command, "arguments": arguments}))
            with sock.makefile("rb") as lines:
                line = lines.readline()
    except (FileNotFoundError, ConnectionRefusedError):
        raise ControlError(f"no broker runs in the data folder {data_dir}") from None
    except TimeoutError:
        raise ControlError(f"the broker in {data_dir} did not answer within {timeout_s:.0f} s") from None
    except OSError as error:
        raise ControlError(f"the broker in {data_dir} cannot be asked: {error.strerror or error}") from None
    if not line.endswith(b"\n"):
        raise ControlError(f"the broker in {data_dir} ended before it answered")
    answer = json.loads(line)
    if "error" in answer:
        raise ControlError(answer["error"])
    return answer["result"]


def line_of(message: Mapping[str, Any]) -> bytes:
    """Encode a question or an answer as its line on the socket."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


@contextmanager
def short_path(data_dir: Path) -> Iterator[str]:
    """Give a path of the folder's socket that is short enough to bind or connect to, for as long as the context."""
    path = str(data_dir / SOCKET_NAME)
    if len(os.fsencode(path)) <= MAXIMUM_SOCKET_PATH_LENGTH:
        yield path
        return
    with TemporaryDirectory(prefix="ottla-") as folder:
        link = Path(folder) / "data"
        link.symlink_to(data_dir.absolute(), target_is_directory=True)
        yield str(link / SOCKET_NAME)
