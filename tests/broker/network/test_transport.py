"""The plain transport: what a socket does, and files, sent by the kernel or through memory."""

import errno
import os
import socket
from contextlib import closing

import pytest

from ottla.broker.network.transport import CopyingTransport, PlainTransport, plain_transport
from ottla.storage.files.real import RealFiles
from ottla.storage.slices import FileSlice
from tests.stage.transports import copying_transport

MAKERS = {"plain": plain_transport, "copying": copying_transport}


@pytest.fixture(params=MAKERS.values(), ids=MAKERS)
def pair(request):
    """A transport, and the client's socket."""
    ours, theirs = socket.socketpair()
    with closing(request.param(ours)) as transport, closing(theirs):
        yield transport, theirs


def slice_of(file, start, size):
    return FileSlice(RealFiles().file(file), start, size)


def test_a_socket_that_became_a_transport_is_nobody_elses():
    ours, theirs = socket.socketpair()
    fd = ours.fileno()
    with closing(plain_transport(ours)) as transport, closing(theirs):
        assert ours.fileno() == -1
        assert transport.fileno() == fd
        assert not os.get_blocking(fd)


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system sends no files")
def test_where_the_system_sends_files_the_transport_lets_it():
    ours, theirs = socket.socketpair()
    with closing(plain_transport(ours)) as transport, closing(theirs):
        assert type(transport) is PlainTransport


def test_a_transport_takes_no_attributes_so_that_it_costs_no_more_than_its_socket(pair):
    assert not hasattr(pair[0], "__dict__")


def test_bytes_come_as_they_were_sent_and_the_end_is_zero(pair):
    transport, theirs = pair
    view = memoryview(bytearray(10))
    with pytest.raises(BlockingIOError):
        transport.recv_into(view)
    theirs.send(b"hello")
    assert transport.recv_into(view) == 5
    assert view[:5] == b"hello"
    assert not transport.keeps_bytes
    assert not transport.has_received()
    assert not transport.wants_to_send()
    theirs.close()
    assert transport.recv_into(view) == 0


def test_a_client_that_has_gone_is_noticed_without_taking_what_it_sent(pair):
    transport, theirs = pair
    with pytest.raises(BlockingIOError):
        transport.has_gone()
    theirs.send(b"x")
    assert not transport.has_gone()
    assert transport.recv_into(memoryview(bytearray(10))) == 1
    theirs.close()
    assert transport.has_gone()


def test_a_range_of_a_file_goes_out_whole(tmp_path, pair):
    data = bytes(range(256)) * 4000
    (tmp_path / "file").write_bytes(b"before" + data + b"behind")
    piece = slice_of(tmp_path / "file", len(b"before"), len(data))
    transport, theirs = pair
    received = bytearray()
    sent = 0
    while sent < len(data):
        sent += transport.send_file(piece, sent)
        received += theirs.recv(1 << 20)
    while len(received) < len(data):
        received += theirs.recv(1 << 20)
    assert received == data
    piece.release()


def test_a_file_that_is_shorter_than_promised_is_told_by_zero(tmp_path, pair):
    (tmp_path / "file").write_bytes(b"short")
    piece = slice_of(tmp_path / "file", 0, 100)
    assert pair[0].send_file(piece, 0) == 5
    assert pair[0].send_file(piece, 5) == 0
    piece.release()


def test_a_file_that_the_system_does_not_send_is_copied(tmp_path, pair, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EINVAL, "not for this file")

    monkeypatch.setattr("os.sendfile", refuse)
    (tmp_path / "file").write_bytes(b"content")
    piece = slice_of(tmp_path / "file", 0, 7)
    assert pair[0].send_file(piece, 0) == 7
    assert pair[1].recv(100) == b"content"
    piece.release()


def test_an_error_of_the_file_is_not_hidden_by_copying(tmp_path, pair, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "broken")

    if type(pair[0]) is CopyingTransport:
        pytest.skip("nothing is sent by the kernel")
    monkeypatch.setattr("os.sendfile", fail)
    (tmp_path / "file").write_bytes(b"content")
    piece = slice_of(tmp_path / "file", 0, 7)
    with pytest.raises(OSError, match="broken"):
        pair[0].send_file(piece, 0)
    piece.release()
