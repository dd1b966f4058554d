"""What ``workspace/executeCommand`` asks for: a scenario to run, or one of its clauses."""

from __future__ import annotations

from collections.abc import Mapping

from lsprotocol.types import ExecuteCommandParams
from pygls.exceptions import JsonRpcInvalidParams

from vcpu_scenario.lsp.documents import Document
from vcpu_scenario.lsp.lenses import COMMAND, clauses
from vcpu_scenario.source import quoted


def to_run(
    documents: Mapping[str, Document], params: ExecuteCommandParams
) -> tuple[Document, int | None]:
    """The document, and the line from 1 of the clause that is to be run, None for all.

    Raises :class:`pygls.exceptions.JsonRpcInvalidParams` with what to do instead.
    """
    if params.command != COMMAND:
        raise JsonRpcInvalidParams(f"no command {quoted(params.command)}: there is {COMMAND}")
    match params.arguments:
        case [str(uri)]:
            line = None
        case [str(uri), None | int() as line] if not isinstance(line, bool):
            pass
        case _:
            raise JsonRpcInvalidParams(
                f"{COMMAND} takes the URI of an open scenario and a clause's line, or null for all"
            )
    document = documents.get(uri)
    if document is None:
        raise JsonRpcInvalidParams(f"{quoted(uri)} is not open as a scenario: open it first")
    root = document.now.root
    if root is not None and line not in (begins for begins, _ in clauses(root)):
        raise JsonRpcInvalidParams(f"no clause of expect begins at line {line}: null runs all")
    return document, line
