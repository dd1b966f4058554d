"""The commands that pages and workflows name, in a line, a console block or a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from .markdown import code_spans, fences

_CALL = re.compile(
    r"(?:^|[\s(|&/\"])(scenario|python3? -m [\w.]+)((?: [^`\n|&;#()]*)?)", re.MULTILINE
)
_GOES_ON = re.compile(r"\s*\\\n>?\s*")
_NOT_TYPED = re.compile(r"^(?![$>] ).*\n?", re.MULTILINE)


class Call(NamedTuple):
    """``scenario`` or a module, with what follows it on its line."""

    program: str
    rest: str

    @property
    def options(self) -> set[str]:
        return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", self.rest))


def calls_of_page(text: str) -> Iterator[Call]:
    """What is typed in the blocks of a Markdown page, and what stands in backquotes."""
    for span in code_spans(text):
        yield from _calls(" ".join(span.split()))
    for fence in fences(text):
        if fence.kind in ("console", "sh"):
            typed = _NOT_TYPED.sub("", fence.content) if fence.kind == "console" else fence.content
            yield from _calls(typed)
        elif fence.kind == "yaml":
            yield from calls_of_workflow(fence.content)


def calls_of_workflow(text: str) -> Iterator[Call]:
    """What the scripts of a workflow, an action or a pipeline call."""
    for script in _scripts(yaml.load(text, yaml.BaseLoader)):
        yield from _calls(script)


def _calls(script: str) -> Iterator[Call]:
    for found in _CALL.finditer(_GOES_ON.sub(" ", script)):
        yield Call(found[1].split()[-1], found[2].strip())


def _scripts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("run", "script", "before_script"):
                yield "\n".join(value) if isinstance(value, list) else str(value)
            else:
                yield from _scripts(value)
    elif isinstance(node, list):
        for item in node:
            yield from _scripts(item)


def options_of(group: Any, words: str) -> set[str] | None:
    """The options of the command, or of the command in a command, that ``words`` begin with; None
    where there is no such command."""
    command = group
    for word in words.split():
        if not hasattr(command, "commands") or not re.fullmatch("[a-z]+", word):
            break
        if word not in command.commands:
            return None
        command = command.commands[word]
    return {"--help", *(option for each in command.params for option in each.opts)}


def every_option(command: Any) -> set[str]:
    """The options of ``command`` and of all commands in it."""
    inner = getattr(command, "commands", {}).values()
    return options_of(command, "") | set().union(*map(every_option, inner))  # type: ignore[operator]
