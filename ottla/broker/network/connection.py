"""One client's connection: whole frames in, answers out, in order and one request at a time, as Kafka does it.

A connection that waits for nothing owns no buffer: it reads into the one that all share (``turn``) and keeps a copy
only of what was left over. A frame that is larger than the shared buffer gets one of its own until it has been
answered; that one grows as bytes come, so that a size alone makes nobody allocate 100 MB.
"""

import errno
import logging
from collections import deque
from typing import Any

from ottla.broker.network.frame_reader import frame_end
from ottla.broker.network.poll_set import HUNG_UP, MUTED, READ, WRITE
from ottla.broker.network.transport import MORE, Transport
from ottla.broker.network.turn import RECEIVE_BYTES, Turn
from ottla.broker.requests.context import Context
from ottla.broker.requests.deferred import Deferred, Reply
from ottla.broker.requests.dispatch import handle
from ottla.scheduling.promise import Promise
from ottla.storage.slices import FileSlice
from ottla.wire.codes import ApiKey
from ottla.wire.errors import ProtocolError

log = logging.getLogger(__name__)

LOGGED_CHARACTERS = 100

MAXIMUM_BYTES_WITHOUT_RECORDS = 8 << 20
"""Maximum bytes of any request but Produce. Read as lists, bytes become objects of 40 times their size, at two
megabytes a second."""
PRODUCE_KEY = int(ApiKey.PRODUCE).to_bytes(2)


class Connection:
    """The state of one connection; everything here runs on the loop."""

    __slots__ = (
        "_deferred",
        "_file_sent",
        "_filled",
        "_frame",
        "_frame_size",
        "_interest",
        "_output",
        "_queued",
        "_received_from",
        "_reply",
        "_rest",
        "_rest_start",
        "_transport_keeps_bytes",
        "active_at",
        "closed",
        "context",
        "fd",
        "transport",
        "turn",
    )

    def __init__(self, transport: Transport, turn: "Turn[Connection]", context: Context) -> None:
        self.transport = transport
        self.fd = transport.fileno()
        self.turn = turn
        self.context = context
        self.closed = False
        self.active_at = turn.now
        self._interest = READ
        self._transport_keeps_bytes = transport.keeps_bytes
        self._rest: bytearray | None = None
        self._rest_start = 0
        self._received_from = -1
        self._frame: bytearray | None = None
        self._frame_size = 0
        self._filled = 0
        self._output: deque[Any] | None = None
        self._file_sent = 0
        self._deferred: Deferred | None = None
        self._reply: Reply | None = None
        self._queued = False

    @property
    def busy(self) -> bool:
        """Whether a request is being answered: none other is read before."""
        return self._deferred is not None or self._output is not None or self._reply is not None

    @property
    def waiting(self) -> bool:
        """Whether the client waits for us: its request has no answer yet."""
        return self._deferred is not None

    @property
    def sending(self) -> bool:
        """Whether an answer is not wholly sent."""
        return self._output is not None or self._reply is not None

    def on_event(self, mask: int) -> None:
        """Do what the socket is ready for; whatever goes wrong closes this connection only."""
        try:
            if self._output is not None:
                if mask & WRITE:
                    self._send_output()
                elif mask & HUNG_UP:
                    self.close("the client went away while it was being answered")
            elif self._deferred is not None:
                self._look_while_waiting(mask)
            elif self._reply is not None:
                pass  # it had its turn in this pass already
            elif self._frame is not None:
                self._receive_large(self._frame)
            else:
                self._receive()
        except BlockingIOError:
            if self._transport_keeps_bytes and not self.busy and self.transport.wants_to_send():
                self._set_interest(READ | WRITE)
        except Exception as error:
            self._fail(error)
        if self._transport_keeps_bytes:
            self._look_after_transport()

    def on_turn(self) -> None:
        """Answer one of the whole frames that were read before, or read what the transport holds."""
        self._queued = False
        if self.closed or self.busy:
            return
        try:
            self._answer_rest()
        except Exception as error:
            self._fail(error)
        if self._transport_keeps_bytes:
            self._receive_kept()

    def on_reply(self) -> None:
        """Send the reply to a request that this pass answered."""
        reply, self._reply = self._reply, None
        if reply is None:
            return
        try:
            self._send(reply)
        except Exception as error:
            self._fail(error)

    def on_answer(self) -> None:
        """Send the answer that the pending request has got, then go on with the next."""
        deferred, self._deferred = self._deferred, None
        if self.closed or deferred is None:
            return
        self.active_at = self.turn.now
        try:
            reply = deferred.reply()
            if isinstance(reply, Deferred):
                self._wait_for(reply)
                reply = reply.at_once
            if reply is not None:
                self._send(reply)
            if self._output is None:
                self._go_on()
        except Exception as error:
            self._fail(error)

    def close(self, why: str, *, level: int = logging.DEBUG, error: Exception | None = None) -> None:
        """Forget the client, with one line in the log; release the files being sent, give up the request that waits.

        ``level`` is above debug where the client did something that a person may want to know of.
        """
        if self.closed:
            return
        self.closed = True
        if log.isEnabledFor(level):
            log.log(level, "closed the connection of %s: %s", self._peer(), why, exc_info=error)
        self.turn.on_closed(self)
        self.transport.close()
        self._rest = None
        frame, self._frame = self._frame, None
        if frame is not None:
            self.turn.give_back(frame)
        unsent = [*(self._output or ()), *(self._reply if isinstance(self._reply, list) else ())]
        self._output = self._reply = None
        for piece in unsent:
            if isinstance(piece, FileSlice):
                piece.release()
        deferred, self._deferred = self._deferred, None
        if deferred is not None:
            try:
                deferred.pending.abandon()
            except Exception:
                log.exception("Abandoning the request of a client that went away failed")

    def _fail(self, error: Exception) -> None:
        if isinstance(error, ProtocolError):
            self.close(str(error), level=logging.WARNING)
        elif isinstance(error, OSError):
            self.close(f"it broke: {error.strerror or error}")
        else:
            self.close("an error of ours", level=logging.ERROR, error=error)

    def _peer(self) -> str:
        client_id = self.context.client.id
        if not client_id:
            return self.context.client.host
        # A stranger chose it: no line breaks, and not the whole of 32 KB.
        return f"{self.context.client.host} ({client_id[:LOGGED_CHARACTERS]!r})"

    # --- reading

    def _receive(self) -> None:
        """Read into the shared buffer, behind what others got in this pass; ``on_received`` comes later."""
        if self._received_from >= 0:
            return  # what it kept was read in this pass already
        turn = self.turn
        view = turn.receive_view
        start = turn.filled
        rest = self._rest
        if rest is None:
            received = count = self.transport.recv_into(view[start : start + RECEIVE_BYTES])
        else:
            kept = len(rest) - self._rest_start
            view[start : start + kept] = memoryview(rest)[self._rest_start :]
            received = self.transport.recv_into(view[start + kept : start + RECEIVE_BYTES])
            count = kept + received
        if received == 0:
            # A client that has said everything may still be listening: whole requests are answered before.
            if not self._queued:
                self._on_end(in_request=rest is not None)
            return
        self._rest = None
        self._received_from = start
        turn.received.append((self, start + count))
        turn.filled = start + count

    def on_received(self, buffer: bytearray, stop: int) -> None:
        """Answer the first request of what was read in this pass, up to ``stop``; keep a copy of what is behind it."""
        if self.closed:
            return
        try:
            start, self._received_from = self._received_from, -1
            end = frame_end(buffer, start, stop, self.turn.max_request_bytes)
            if end <= stop:
                if end < stop:
                    self._rest = buffer[end:stop]
                    self._rest_start = 0
                    self._queue()
                self.active_at = self.turn.now
                reply = handle(self.context, buffer, start + 4, end)
                if reply is not None:
                    self._take(reply)
            elif end - start > RECEIVE_BYTES:
                self._start_large(self.turn.receive_view[start:stop], end - start)
            else:
                self._rest = buffer[start:stop]
                self._rest_start = 0
        except Exception as error:
            self._fail(error)

    def _answer_rest(self) -> None:
        rest, start = self._rest, self._rest_start
        if rest is None:
            return
        stop = len(rest)
        end = frame_end(rest, start, stop, self.turn.max_request_bytes)
        if end <= stop:
            if end == stop:
                self._rest = None
            else:
                self._rest_start = end
                self._queue()
            self._answer(rest, end, start)
        elif end - start > RECEIVE_BYTES:
            self._rest = None
            self._start_large(memoryview(rest)[start:], end - start)

    def _receive_kept(self) -> None:
        """Read what the transport has kept, unless a request is being answered."""
        if not self.closed and self.transport.has_received():
            if self.busy:
                self._queue()
            else:
                self.on_event(READ)

    def _look_after_transport(self) -> None:
        """See to what the transport keeps, of which the poll set does not know."""
        if self.closed:
            return
        if self._interest == READ | WRITE and not self.transport.wants_to_send():
            self._set_interest(READ)
        if self.transport.has_received():
            self._queue()

    def _on_end(self, *, in_request: bool) -> None:
        if in_request:
            self.close("the client went away in the middle of a request", level=logging.INFO)
        else:
            self.close("the client closed it")

    def _start_large(self, received: memoryview, total: int) -> None:
        self._frame = self.turn.take_buffer()
        self._frame_size = total
        self._filled = len(received)
        self._frame[: self._filled] = received

    def _receive_large(self, frame: bytearray) -> None:
        wanted = min(self._frame_size, len(frame))
        received = self.transport.recv_into(memoryview(frame)[self._filled : wanted])
        if received == 0:
            self._on_end(in_request=True)
            return
        self._filled += received
        if self._filled < wanted:
            return
        if wanted < self._frame_size:
            if self._frame_size > MAXIMUM_BYTES_WITHOUT_RECORDS and frame[4:6] != PRODUCE_KEY:
                raise ProtocolError(f"a request of {self._frame_size} bytes, and not for records")
            larger = bytearray(min(self._frame_size, 4 * len(frame)))
            larger[:wanted] = frame
            self._frame = larger
            self.turn.give_back(frame)
            return
        self._frame = None
        self.active_at = self.turn.now
        try:
            self._answer(frame, self._frame_size)
        finally:
            self.turn.give_back(frame)

    # --- answering

    def _answer(self, buffer: bytearray, end: int, start: int = 0) -> None:
        reply = handle(self.context, buffer, start + 4, end)
        if reply is not None:
            self._take(reply)

    def _take(self, reply: Reply | Deferred) -> None:
        """Keep a reply until the pass sends all of them, or wait for it."""
        if isinstance(reply, Deferred):
            self._wait_for(reply)
            if reply.at_once is None:
                return
            reply = reply.at_once
        self._reply = reply
        self.turn.replied.append(self)

    def _wait_for(self, deferred: Deferred) -> None:
        self._deferred = deferred
        deferred.pending.add_done_callback(self._on_resolved)

    def _on_resolved(self, _pending: Promise[Any]) -> None:
        self.turn.note_answer(self)

    def _look_while_waiting(self, mask: int) -> None:
        """Ignore what the client sends while its request waits, but notice when it has gone."""
        deferred = self._deferred
        if deferred is not None and (mask & HUNG_UP or self.transport.has_gone()):
            api = deferred.api
            # Every consumer that stops leaves a fetch behind.
            level = logging.DEBUG if api.key == ApiKey.FETCH else logging.INFO
            self.close(f"the client went away while its {api.name} waited for an answer", level=level)
        else:
            self._set_interest(MUTED)

    def _go_on(self) -> None:
        if self._interest != READ:
            self._set_interest(READ)
        if self._rest is not None or (self._transport_keeps_bytes and self.transport.has_received()):
            self._queue()

    def _queue(self) -> None:
        if not self._queued:
            self._queued = True
            self.turn.run_queue.append(self)

    def _set_interest(self, interest: int) -> None:
        if interest != self._interest:
            self._interest = interest
            self.turn.watch(self.fd, interest)

    # --- sending

    def _send(self, reply: Reply) -> None:
        if type(reply) is bytes:
            try:
                sent = self.transport.send(reply)
            except BlockingIOError:
                sent = 0
            if sent == len(reply):
                return
            self._output = deque((memoryview(reply)[sent:],))
        else:
            self._output = deque(reply)
        self._send_output(resumed=False)

    def _send_output(self, *, resumed: bool = True) -> None:
        if resumed:
            self.active_at = self.turn.now
        output = self._output
        assert output is not None  # noqa: S101 - callers check
        try:
            while output:
                piece = output[0]
                if isinstance(piece, FileSlice):
                    if not self._send_file(piece):
                        break
                else:
                    sent = self.transport.send(piece, MORE if len(output) > 1 else 0)
                    if sent < len(piece):
                        output[0] = memoryview(piece)[sent:]
                        break
                output.popleft()
        except BlockingIOError:
            pass
        if output:
            self._set_interest(WRITE)
            return
        self._output = None
        if resumed:
            if self.turn.draining:
                self.close("the broker stops")
            else:
                self._go_on()

    def _send_file(self, piece: FileSlice) -> bool:
        """Send from a file without copying; return whether all of it went. The slice is released then."""
        left = len(piece) - self._file_sent
        sent = self.transport.send_file(piece, self._file_sent)
        if sent == 0:
            raise OSError(errno.EIO, "the file is shorter than what was promised of it")
        if sent < left:
            self._file_sent += sent
            return False
        self._file_sent = 0
        piece.release()
        return True
