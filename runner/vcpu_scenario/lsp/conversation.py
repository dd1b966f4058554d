"""A conversation with one client over the standard streams, from its first message to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from typing import Any

from lsprotocol.types import ErrorCodes, InitializeRequest
from pygls.exceptions import JsonRpcException

from vcpu_scenario.lsp.frames import (
    BadMessage,
    Ended,
    Incoming,
    Outgoing,
    own_stdout,
    standard_input,
)
from vcpu_scenario.lsp.server import serve
from vcpu_scenario.lsp.session import Server

log = logging.getLogger(__name__)


class NoPipe(Exception):
    """Standard input is nothing that a client can write to."""


def converse(level: int = logging.ERROR) -> bool:
    """Answers the client on the standard streams until it says that it has no more questions, or
    is gone; whether it ended as the protocol has it.

    The log goes to standard error, from ``level`` on. Raises :class:`NoPipe`.
    """
    logging.basicConfig(stream=sys.stderr, level=level, format="scenario lsp: %(message)s")
    if level > logging.DEBUG:
        logging.getLogger("pygls").setLevel(logging.CRITICAL)
    return asyncio.run(_converse())


async def _converse() -> bool:
    try:
        incoming = Incoming(await standard_input())
    except (ValueError, OSError) as error:
        raise NoPipe(str(error)) from None
    server, session = serve()
    server.protocol.set_writer(Outgoing(own_stdout()))
    with contextlib.suppress(OSError):
        await session.workers["check"].start()
    try:
        return await _Talk(server).until_exit(incoming)
    finally:
        await session.close()


class _Talk:
    """Hands each message on, as far as the state of the conversation lets it be answered."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._begun = False
        self._over = False

    async def until_exit(self, incoming: Incoming) -> bool:
        while True:
            try:
                message = await incoming.next()
            except BadMessage as bad:
                log.error("%s", bad)
                self._refuse(None, ErrorCodes.ParseError, str(bad))
                continue
            except Ended as end:
                log.info("%s", end)
                return self._over
            if isinstance(message, dict) and message.get("method") == "exit":
                return self._over
            self._take(message)

    def _take(self, message: Any) -> None:
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            self._refuse(None, ErrorCodes.InvalidRequest, "no message of JSON-RPC 2.0")
            return
        method, number = message.get("method"), message.get("id")
        is_known = number is None or isinstance(number, str | int)
        if "method" not in message or not is_known:
            number = None  # an answer has no answer; nor has what nobody could tell it of
        if "method" in message and not (is_known and isinstance(method, str)):
            self._refuse(number, ErrorCodes.InvalidRequest, "a method is a name")
            return
        if method is not None and not self._may(method, number):
            return
        if method == "shutdown":
            self._cancel_all()
        try:
            made = self._server.protocol.structure_message(message)
            if not hasattr(made, "jsonrpc"):
                raise TypeError("no message")
            if number is not None and not hasattr(made, "id"):
                self._refuse(number, ErrorCodes.InvalidRequest, f"{method} has no answer")
                return
            if isinstance(made, InitializeRequest):
                # pygls takes the folder's URI apart, which may be none; it is of no use here.
                made.params.root_uri = made.params.root_path = None
            self._server.protocol.handle_message(made)
        except JsonRpcException as error:
            log.error("%s: %s", method, error)
            self._refuse(number, ErrorCodes.InvalidParams, f"what {method} is given does not fit")
        except Exception as error:  # one message must not end the conversation
            log.error("%s: %s: %s", method, type(error).__name__, error)
            self._refuse(number, ErrorCodes.InternalError, f"{method} cannot be answered")
        else:
            self._begun |= method == "initialize"
            self._over |= method == "shutdown"

    def _cancel_all(self) -> None:
        """Cancels what is being answered: pygls itself goes through the dictionary that each of
        them leaves as it is cancelled, and answers `shutdown` with an error."""
        for answer in list(self._server.protocol._request_futures.values()):
            answer.cancel()

    def _may(self, method: object, number: object) -> bool:
        """Whether a message may come now; refuses it where not."""
        if self._over:
            self._refuse(number, ErrorCodes.InvalidRequest, "the server was shut down")
        elif not self._begun and method != "initialize":
            self._refuse(number, ErrorCodes.ServerNotInitialized, "initialize comes first")
        elif self._begun and method == "initialize":
            self._refuse(number, ErrorCodes.InvalidRequest, "initialize comes once")
        else:
            return True
        return False

    def _refuse(self, number: object, code: ErrorCodes, why: str) -> None:
        """Answers with an error; a notification has no answer. A message without sense has one to
        nobody."""
        if number is None and code is not ErrorCodes.ParseError:
            return
        told = {"jsonrpc": "2.0", "id": number, "error": {"code": int(code), "message": why}}
        self._server.protocol._send_data(told)
