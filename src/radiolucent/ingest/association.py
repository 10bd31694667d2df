"""One association as its acceptor sees it: negotiate, take objects, answer each, end; on one thread that never polls.

Whatever a peer sends, the association ends in one of three ways: released, aborted, or cut. In each the socket and
the unfinished file are gone, and the receiver hears of it once.
"""

from __future__ import annotations

import errno
import logging
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from radiolucent.errors import BrokenProtocol, OutOfSpace, UnreadableFile
from radiolucent.ingest import commands, upper_layer
from radiolucent.ingest.commands import Command, Field
from radiolucent.ingest.contexts import ACCEPTED, VERIFICATION, answer_contexts
from radiolucent.ingest.receiving import ANSWERS, Outcome, Receiver, Way, identify, is_uid
from radiolucent.ingest.spool import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION, FileMeta, Spool, SpooledFile
from radiolucent.ingest.upper_layer import AbortReason, AssociateRequest, Fragment, Pdu, Rejection

LOG: Final = logging.getLogger(__name__)
_SLACK_BYTES: Final = 1024
"""Senders that count a PDU's header differently are let pass."""
_PARTING_S: Final = 1.0
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On what terms associations are accepted.

    Parameters
    ----------
    calling_ae_titles : who may call; None lets everyone.
    unknown_classes : whether private storage classes and those of later editions are taken.
    maximum_pdu_bytes : of a P-DATA PDU after its header; a longer one ends the association.
    maximum_object_bytes : a longer object ends the association.
    associate_timeout_s : from the connection to the whole association request.
    idle_timeout_s : between two PDUs.
    network_timeout_s : from a PDU's first byte to its last, and for one answer to be taken.
    """

    ae_title: str
    calling_ae_titles: frozenset[str] | None = None
    unknown_classes: bool = True
    maximum_pdu_bytes: int = 131072
    maximum_object_bytes: int = 4 * 2**30
    associate_timeout_s: float = 30.0
    idle_timeout_s: float = 300.0
    network_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        if not 1 <= len(self.ae_title.strip()) <= 16 or not self.ae_title.isascii():
            raise ValueError("an AE title has 1 to 16 ASCII characters")
        if self.maximum_pdu_bytes < 4096:
            raise ValueError("maximum_pdu_bytes is at least 4096")


class Association:
    """One peer's connection, served by `run`."""

    def __init__(
        self,
        connection: socket.socket,
        peer_address: str,
        *,
        terms: Terms,
        receiver: Receiver,
        spool: Spool,
        admit: Callable[[], bool],
    ) -> None:
        self.id = uuid.uuid4().hex
        self.outcomes: Counter[Outcome] = Counter()
        self._socket, self._peer = connection, peer_address
        self._terms, self._receiver, self._spool, self._admit = terms, receiver, spool, admit
        self._buffer = bytearray(upper_layer.HEADER_BYTES)
        self._syntaxes: dict[int, tuple[str, str]] = {}
        self._asked: AssociateRequest | None = None
        self._command = b""
        self._command_context = 0
        self._request: Command | None = None
        self._file: SpooledFile | None = None
        self._refused: Outcome | int | None = None
        self._object_bytes = 0
        self._stopping = False
        self.admitted = False

    @property
    def busy(self) -> bool:
        """Whether a message has begun that isn't answered yet."""
        return self._request is not None or bool(self._command)

    def run(self) -> None:
        """Serve the peer until it leaves, errs, or `stop` is called. Raises nothing."""
        released = False
        try:
            if self._negotiate():
                released = self._serve()
        except BrokenProtocol as error:
            LOG.warning("association with %s ended: %s", self._peer, error)
            self._part(upper_layer.encode_abort(AbortReason(error.reason)))
        except OSError as error:
            LOG.info("association with %s was cut: %s", self._peer, type(error).__name__)
            self._part(upper_layer.encode_abort(AbortReason.NOT_SPECIFIED) if self._asked else b"")
        finally:
            self._forget()
            self._socket.close()
            if self._syntaxes:
                self._end(released)

    def stop(self) -> None:
        """Ask `run` to end: at once where it waits for the peer's next message, else after the current one."""
        self._stopping = True
        if not self.busy:
            self.cut()

    def cut(self) -> None:
        """End reading now, whatever is under way."""
        try:
            self._socket.shutdown(socket.SHUT_RD)
        except OSError:
            return  # it has ended already

    def _end(self, released: bool) -> None:
        counts = ", ".join(f"{count} {outcome.value}" for outcome, count in self.outcomes.items()) or "no objects"
        caller = self._asked.calling_ae if self._asked else ""
        LOG.info("association of %s (%s) %s: %s", caller, self._peer, "released" if released else "aborted", counts)
        try:
            self._receiver.association_ended(self.id, aborted=not released)
        except Exception as error:  # noqa: BLE001 - the thread must end cleanly whatever the receiver does
            LOG.error("the receiver couldn't note the end of an association: %s", type(error).__name__)

    # --- before the first message ---

    def _negotiate(self) -> bool:
        deadline = time.monotonic() + self._terms.associate_timeout_s
        kind, body = self._read_pdu(deadline, first=True)
        if kind is not Pdu.ASSOCIATE_RQ:
            raise BrokenProtocol("the first PDU is no association request", reason=AbortReason.UNEXPECTED_PDU)
        request = upper_layer.decode_associate_request(bytes(body))
        rejection = self._rejection(request)
        if rejection is not None:
            LOG.warning("association of %s (%s) rejected: %s", request.calling_ae, self._peer, rejection.text)
            self._part(upper_layer.encode_rejection(rejection))
            return False
        self._asked = request
        answers = answer_contexts(request, unknown=self._terms.unknown_classes)
        abstract = {context.id: context.abstract_syntax for context in request.contexts}
        accepted = [answer for answer in answers if answer.result == ACCEPTED]
        self._send(
            upper_layer.encode_associate_accept(
                request,
                answers,
                maximum_length=self._terms.maximum_pdu_bytes,
                implementation_class_uid=IMPLEMENTATION_CLASS_UID,
                implementation_version=IMPLEMENTATION_VERSION,
            )
        )
        self._syntaxes = {answer.id: (abstract[answer.id], answer.transfer_syntax) for answer in accepted}
        return True

    def _rejection(self, request: AssociateRequest) -> Rejection | None:
        callers = self._terms.calling_ae_titles
        if not request.version_1:
            return upper_layer.VERSION_NOT_SUPPORTED
        if request.application_context != upper_layer.APPLICATION_CONTEXT:
            return upper_layer.CONTEXT_NOT_SUPPORTED
        if request.called_ae != self._terms.ae_title.strip():
            return upper_layer.CALLED_AE_UNKNOWN
        if callers is not None and request.calling_ae not in callers:
            return upper_layer.CALLING_AE_UNKNOWN
        self.admitted = self._admit()
        return None if self.admitted else upper_layer.TOO_MANY

    # --- messages ---

    def _serve(self) -> bool:
        """Take messages until the peer releases (True) or aborts (False)."""
        while self.busy or not self._stopping:
            kind, body = self._read_pdu(time.monotonic() + self._terms.idle_timeout_s)
            if kind is Pdu.ABORT:
                return False
            if kind is Pdu.RELEASE_RQ and not self.busy:
                self._part(upper_layer.encode_release_response())
                return True
            if kind is not Pdu.P_DATA:
                raise BrokenProtocol(f"unexpected {kind.name}", reason=AbortReason.UNEXPECTED_PDU)
            for fragment in upper_layer.read_fragments(body):
                self._take(fragment)
        self._part(upper_layer.encode_abort(AbortReason.NOT_SPECIFIED))
        return False

    def _take(self, fragment: Fragment) -> None:
        if fragment.context_id not in self._syntaxes:
            raise BrokenProtocol("a message in a context that was not accepted", reason=AbortReason.INVALID_PARAMETER)
        if fragment.is_command:
            self._take_command(fragment)
        elif self._request is None or fragment.context_id != self._command_context:
            raise BrokenProtocol("a data set without its command", reason=AbortReason.UNEXPECTED_PARAMETER)
        else:
            self._take_data(fragment.data)
            if fragment.is_last:
                self._finish()

    def _take_command(self, fragment: Fragment) -> None:
        if self._request is not None or (self._command and fragment.context_id != self._command_context):
            raise BrokenProtocol("a command inside of another message", reason=AbortReason.UNEXPECTED_PARAMETER)
        self._command += bytes(fragment.data)
        self._command_context = fragment.context_id
        if len(self._command) > commands.MAX_COMMAND_BYTES:
            raise BrokenProtocol("a command is too long", reason=AbortReason.INVALID_PARAMETER)
        if fragment.is_last:
            request = commands.decode_command(self._command)
            self._command, self._object_bytes = b"", 0
            self._request = request
            self._refused = self._refusal(request)
            if not request.has_data_set:
                self._finish()
            elif self._refused is None:
                self._open(request)

    def _refusal(self, request: Command) -> Outcome | int | None:
        """Why the request's data set isn't kept, or a plain status; None for a C-STORE in order."""
        abstract, _ = self._syntaxes[self._command_context]
        if request.field == Field.C_ECHO:
            return commands.SUCCESS
        if request.field != Field.C_STORE:
            return commands.UNRECOGNISED_OPERATION
        if request.sop_class_uid != abstract or abstract == VERIFICATION:
            return commands.SOP_CLASS_NOT_SUPPORTED
        if not request.has_data_set or not is_uid(request.sop_instance_uid):
            return Outcome.NOT_UNDERSTOOD
        return None

    def _open(self, request: Command) -> None:
        _, syntax = self._syntaxes[self._command_context]
        meta = FileMeta(
            sop_class_uid=request.sop_class_uid,
            sop_instance_uid=request.sop_instance_uid,
            transfer_syntax_uid=syntax,
            source_ae=self._asked.calling_ae if self._asked else "",
            receiving_ae=self._terms.ae_title,
        )
        try:
            self._file = self._spool.begin()
            self._file.write(meta.encode())
        except OutOfSpace:
            self._refused = Outcome.OUT_OF_SPACE
        except OSError as error:
            self._refuse(error)

    def _take_data(self, data: memoryview) -> None:
        self._object_bytes += len(data)
        if self._object_bytes > self._terms.maximum_object_bytes:
            raise BrokenProtocol("an object is larger than this listener takes", reason=AbortReason.NOT_SPECIFIED)
        if self._file is not None:
            try:
                self._file.write(data)
            except OSError as error:
                self._refuse(error)

    def _refuse(self, error: OSError) -> None:
        """Go on reading the object, so that its sender can be told why it isn't kept."""
        LOG.error("an object can't be written: %s", errno.errorcode.get(error.errno or 0, "unknown"))
        self._refused = Outcome.OUT_OF_SPACE if error.errno in _FULL else Outcome.FAILED
        self._drop_file()

    def _finish(self) -> None:
        request, refused = self._request, self._refused
        assert request is not None
        if refused is None:
            refused = self._keep(request)
        self._drop_file()
        if isinstance(refused, Outcome):
            self.outcomes[refused] += 1
            status, comment = ANSWERS[refused].dimse_status, ANSWERS[refused].comment
        else:
            status, comment = refused, ""
        if request.field != Field.C_CANCEL:
            response = commands.encode_response(request, status, comment)
            length = self._asked.maximum_length if self._asked else 0
            self._send(upper_layer.encode_command(self._command_context, response, maximum_length=length))
        self._request = None

    def _keep(self, request: Command) -> Outcome:
        assert self._file is not None
        assert self._asked is not None
        try:
            instance = identify(
                self._file.close(),
                way=Way.C_STORE,
                association_id=self.id,
                calling_ae=self._asked.calling_ae,
                called_ae=self._asked.called_ae,
                peer_address=self._peer,
                expected={"SOPClassUID": request.sop_class_uid, "SOPInstanceUID": request.sop_instance_uid},
            )
            return self._receiver.receive(instance)
        except UnreadableFile as error:
            LOG.warning("an object of %s can't be understood: %s", self._asked.calling_ae, error.code)
            return Outcome.NOT_UNDERSTOOD
        except OSError as error:
            self._refuse(error)
            return Outcome.OUT_OF_SPACE if error.errno in _FULL else Outcome.FAILED
        except Exception as error:  # noqa: BLE001 - whatever fails in a receiver, the sender must hear that it failed
            LOG.error("an object of %s was not kept: %s", self._asked.calling_ae, type(error).__name__)
            return Outcome.FAILED

    def _drop_file(self) -> None:
        if self._file is not None:
            self._file.discard()
            self._file = None

    def _forget(self) -> None:
        self._drop_file()
        self._request, self._command = None, b""

    # --- bytes ---

    def _read_pdu(self, deadline: float, *, first: bool = False) -> tuple[Pdu, memoryview]:
        kind, length = upper_layer.read_header(self._read(upper_layer.HEADER_BYTES, deadline).tobytes())
        limit = self._terms.maximum_pdu_bytes + _SLACK_BYTES
        if kind is Pdu.ASSOCIATE_RQ and first:
            limit = upper_layer.MAX_ASSOCIATE_BYTES
        if length > limit:
            raise BrokenProtocol("a PDU is longer than was agreed", reason=AbortReason.INVALID_PARAMETER)
        end = time.monotonic() + self._terms.network_timeout_s
        return kind, self._read(length, min(end, deadline) if first else end)

    def _read(self, count: int, deadline: float) -> memoryview:
        """Exactly `count` bytes, valid until the next call. Raises OSError when late or cut off."""
        if len(self._buffer) < count:
            self._buffer = bytearray(count)
        view, at = memoryview(self._buffer), 0
        while at < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            got = self._socket.recv_into(view[at:count])
            if got == 0:
                raise ConnectionError("closed")
            at += got
        return view[:count]

    def _send(self, data: bytes) -> None:
        self._socket.settimeout(self._terms.network_timeout_s)
        self._socket.sendall(data)

    def _part(self, last_words: bytes) -> None:
        """Say the last thing and let the peer hear it: closing with unread bytes would drop it on its way."""
        try:
            self._socket.settimeout(_PARTING_S)
            self._socket.sendall(last_words)
            self._socket.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + _PARTING_S
            while time.monotonic() < deadline and self._socket.recv(65536):
                continue
        except OSError:
            return  # the peer has gone
