"""Programs ask a running broker over the socket in its data folder, and get an answer or a sentence.

Both ends: control/local_socket and ottla/control_channel.
"""

import json
import socket
import threading
from pathlib import Path

import pytest
import trio

from ottla.broker.control.local_socket import serve_commands
from ottla.broker.user_errors import CommandError
from ottla.control_channel import SOCKET_NAME, ControlError, ask, short_path
from ottla.scheduling.promise import Promise
from ottla.testing import Ottla


def refuse():
    raise CommandError("not today")


def fail():
    raise ZeroDivisionError("our bug")


COMMANDS = {"double": lambda number: 2 * number, "refuse": refuse, "fail": fail, "odd": object}


def at_once(call):
    call()


def asking(folder: Path, questions, commands=COMMANDS, call_soon=at_once):
    """Return the answer of a broker with these commands to a program, which runs in a thread."""

    async def run():
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_commands, folder, commands, call_soon)
            result = await trio.to_thread.run_sync(questions)
            nursery.cancel_scope.cancel()
        return result

    return trio.run(run)


def talk(folder: Path, sent: bytes) -> list[bytes]:
    """The lines that come back before the broker closes."""
    with socket.socket(socket.AF_UNIX) as sock, short_path(folder) as path:
        sock.connect(path)
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        with sock.makefile("rb") as lines:
            return lines.readlines()


def test_a_question_gets_its_commands_result(tmp_path):
    assert asking(tmp_path, lambda: ask(tmp_path, "double", number=21)) == 42


def test_a_platform_without_sockets_in_folders_serves_all_the_same(tmp_path, monkeypatch):
    for module in ("ottla.broker.control.local_socket", "ottla.control_channel"):
        monkeypatch.setattr(f"{module}.SOCKET_FAMILY", None)

    def question():
        with pytest.raises(ControlError, match="on this platform"):
            ask(tmp_path, "double", number=21)
        return list(tmp_path.iterdir())

    assert asking(tmp_path, question) == []


def test_an_answer_may_come_later(tmp_path):
    pending = Promise()

    def later():
        trio.lowlevel.spawn_system_task(resolve)
        return pending

    async def resolve():
        pending.resolve(7)

    assert asking(tmp_path, lambda: ask(tmp_path, "later"), {"later": later}) == 7


def test_a_command_is_called_in_a_pass_of_the_loop_and_so_is_giving_it_up(tmp_path):
    given_up = threading.Event()
    in_pass = False

    def call_soon(call):
        nonlocal in_pass
        in_pass = True
        call()
        in_pass = False

    def give_up():
        assert in_pass
        given_up.set()

    def never():
        assert in_pass
        return Promise(on_abandoned=give_up)

    def question():
        with socket.socket(socket.AF_UNIX) as sock, short_path(tmp_path) as path:
            sock.connect(path)
            sock.sendall(b'{"command":"is_in_pass"}\n')
            assert sock.recv(100) == b'{"result":true}\n'
            sock.sendall(b'{"command":"never"}\n')

    commands = {"is_in_pass": lambda: in_pass, "never": never}
    asking(tmp_path, question, commands, call_soon)
    assert given_up.is_set()


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("refuse", "not today"),
        ("fail", "fail failed; the broker's log says why"),
        ("double", "double failed; the broker's log says why"),
        ("odd", "odd failed; the broker's log says why"),
        ("treble", "this broker knows no command 'treble'; it knows double, fail, odd, refuse"),
    ],
)
def test_what_cannot_be_done_is_said_and_the_broker_lives_on(tmp_path, command, sentence):
    def questions():
        with pytest.raises(ControlError, match=sentence):
            ask(tmp_path, command)
        return ask(tmp_path, "double", number=1)

    assert asking(tmp_path, questions) == 2


@pytest.mark.parametrize("line", [b"", b"hello", b"[]", b"{}", b'{"command":1}', b'{"command":"double","arguments":3}'])
def test_a_line_that_is_no_question_is_answered_with_what_one_is(tmp_path, line):
    [answer] = asking(tmp_path, lambda: talk(tmp_path, line + b"\n"))
    assert json.loads(answer) == {"error": 'a question is a line {"command": NAME, "arguments": {...}}'}


def test_several_questions_follow_each_other_on_a_connection(tmp_path):
    line = b'{"command":"double","arguments":{"number":4}}\n'
    assert asking(tmp_path, lambda: talk(tmp_path, line * 3)) == [b'{"result":8}\n'] * 3


def test_an_endless_line_is_not_kept(tmp_path):
    def questions():
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(tmp_path / SOCKET_NAME))
            with pytest.raises(OSError, match=r"reset|pipe"):
                sock.sendall(bytes(100 << 20))

    asking(tmp_path, questions)


def test_only_the_owner_of_the_data_may_ask(tmp_path):
    assert asking(tmp_path, lambda: (tmp_path / SOCKET_NAME).stat().st_mode & 0o777) == 0o600


def test_a_long_path_is_no_hindrance(tmp_path):
    folder = tmp_path / ("long" * 50)
    folder.mkdir()
    assert asking(folder, lambda: ask(folder, "double", number=1)) == 2
    assert not (folder / SOCKET_NAME).exists()


@pytest.mark.slow
def test_what_a_killed_broker_left_is_no_hindrance(tmp_path):
    with Ottla(data_dir=tmp_path) as broker:
        broker.kill()
        assert (tmp_path / SOCKET_NAME).exists()
        with pytest.raises(ControlError, match="no broker runs in the data folder"):
            ask(tmp_path, "clients")
        broker.start()
        assert ask(tmp_path, "clients") == []
    assert not (tmp_path / SOCKET_NAME).exists()


def test_a_folder_without_a_broker_is_named(tmp_path):
    with pytest.raises(ControlError, match=f"no broker runs in the data folder {tmp_path}"):
        ask(tmp_path, "clients")
