"""Answers the programs that ask this broker what it does or tell it what to do (``ottla.control_channel``).

A command is a plain function, called in a pass of the loop: it takes the question's arguments by keyword, and
returns what JSON can hold, or a ``Promise`` of that. ``CommandError`` is an answer; anything else is our bug.
"""

import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import trio

from ottla.broker.user_errors import CommandError
from ottla.control_channel import MAXIMUM_QUESTION_LENGTH, SOCKET_FAMILY, SOCKET_NAME, line_of, short_path
from ottla.scheduling.promise import Promise

log = logging.getLogger(__name__)

T = TypeVar("T")
Command = Callable[..., Any]
CallSoon = Callable[[Callable[[], None]], None]

_RECEIVE_BYTES = 1 << 16


async def serve_commands(
    data_dir: Path,
    commands: Mapping[str, Command],
    call_soon: CallSoon,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer until cancelled; started once there is a socket to ask at. ``call_soon`` calls in a pass of the loop.

    Where the folder can hold none, the broker goes without, with a line in its log.
    """
    async with _listening(data_dir) as listener:
        task_status.started()
        if listener is not None:
            await trio.serve_listeners(partial(_serve_client, commands, call_soon), [listener])


@asynccontextmanager
async def _listening(data_dir: Path) -> AsyncIterator[trio.SocketListener | None]:
    if SOCKET_FAMILY is None:
        yield None
        return
    # The folder is locked: a socket that is there already belongs to a broker that was killed.
    file = data_dir / SOCKET_NAME
    sock = trio.socket.socket(SOCKET_FAMILY, socket.SOCK_STREAM)
    with sock:
        try:
            file.unlink(missing_ok=True)
            with short_path(data_dir) as path:
                await sock.bind(path)
            file.chmod(0o600)
            sock.listen()
        except OSError as error:
            log.warning("Control socket cannot be opened, so commands will not find this broker: %s", error)
            yield None
            return
        try:
            yield trio.SocketListener(sock)
        finally:
            file.unlink(missing_ok=True)


async def _serve_client(commands: Mapping[str, Command], call_soon: CallSoon, stream: trio.SocketStream) -> None:
    received = bytearray()
    try:
        async with stream:
            while True:
                line, newline, rest = received.partition(b"\n")
                if not newline:
                    part = await stream.receive_some(_RECEIVE_BYTES)
                    received += part
                    if not part or len(received) > MAXIMUM_QUESTION_LENGTH:
                        return
                    continue
                received = rest
                await stream.send_all(await _answer(line, commands, call_soon))
    except trio.BrokenResourceError:
        pass  # the program has gone


async def _answer(line: bytearray, commands: Mapping[str, Command], call_soon: CallSoon) -> bytes:
    name = ""
    try:
        name, arguments = _read_question(line)
        command = commands.get(name)
        if command is None:
            raise CommandError(f"this broker knows no command {name!r}; it knows {', '.join(sorted(commands))}")
        return line_of({"result": await _come(_called(partial(command, **arguments), call_soon))})
    except CommandError as error:
        return line_of({"error": str(error)})
    except Exception:
        log.exception("Command %s failed", name)
        return line_of({"error": f"{name} failed; the broker's log says why"})


def _read_question(line: bytearray) -> tuple[str, dict[str, Any]]:
    try:
        question = json.loads(line)
        name, arguments = question["command"], question.get("arguments", {})
    except (ValueError, TypeError, KeyError):
        name = arguments = None
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise CommandError('a question is a line {"command": NAME, "arguments": {...}}')
    return name, arguments


def _called(command: Callable[[], Any], call_soon: CallSoon) -> Promise[Any]:
    """Return the promise of what ``command`` answers, called in the loop's next pass."""
    answer: Promise[Any] = Promise()

    def call() -> None:
        try:
            result = command()
        except Exception as error:
            answer.fail(error)
            return
        if not isinstance(result, Promise):
            answer.resolve(result)
        elif answer.done:  # nobody waits for it any more
            result.abandon()
        else:
            answer.on_abandoned = lambda: call_soon(result.abandon)
            result.pass_on_to(answer)

    call_soon(call)
    return answer


async def _come(pending: Promise[T]) -> T | None:
    """Wait for an answer that comes later; raises what it failed with."""
    came = trio.Event()
    pending.add_done_callback(lambda _: came.set())
    try:
        await came.wait()
    finally:
        pending.abandon()  # harmless once it is done
    if pending.error is not None:
        raise pending.error
    return pending.value
