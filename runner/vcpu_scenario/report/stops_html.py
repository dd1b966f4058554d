"""The table of stops as a page: one file that fetches nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from vcpu_scenario.analysis.stops import Row, Table
from vcpu_scenario.host.printable import printable
from vcpu_scenario.report.stops import evidence, kernels, legend, mark, name, says

_STYLE: Final = """\
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem; color: #1b1f24; background: #fff }
table { border-collapse: collapse; margin: .5rem 0 2rem }
th, td { border: 1px solid #d0d7de; padding: .3rem .6rem; text-align: left; vertical-align: top }
th { background: #f6f8fa }
td.wrong { background: #ffebe9 }
td p { margin: 0 }
.mark, .name { color: #57606a }
dt { font-weight: 600 }
@media (prefers-color-scheme: dark) {
  body { color: #e6edf3; background: #0d1117 }
  th { background: #161b22 }
  th, td { border-color: #30363d }
  td.wrong { background: #4b1113 }
  .mark, .name { color: #8b949e }
}
"""


def page(tables: Sequence[Table]) -> str:
    """The page."""
    return "\n".join(_page(tables)) + "\n"


def _page(tables: Sequence[Table]) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield "<title>What debuggers are told</title>"
    yield f"<style>\n{_STYLE}</style>\n</head>\n<body>\n<h1>What debuggers are told</h1>"
    for table in tables:
        yield f"<h2>{_safe(table.case.scenario.title)}</h2>"
        yield f'<p class="name">{_safe(name(table))}</p>'
        yield "<table>"
        heads = "".join(f'<th scope="col">{_safe(vmm)}</th>' for vmm in table.vmms)
        yield f'<tr><th scope="col">kernels</th>{heads}</tr>'
        yield from (_row(table, row) for row in table.rows)
        yield from (
            f'<tr><th scope="row">{_safe(kernel)}</th>'
            f'<td colspan="{len(table.vmms)}">left out: {_safe(reason)}</td></tr>'
            for kernel, reason in table.left_out
        )
        yield "</table>"
    yield "<dl>"
    yield from (
        f"<dt>{_safe(word)}</dt><dd>{_safe(meaning)}</dd>" for word, meaning in legend(tables)
    )
    yield "</dl>\n</body>\n</html>"


def _row(table: Table, row: Row) -> str:
    cells = "".join(_cell(table, row, number) for number in range(len(table.vmms)))
    return f'<tr><th scope="row">{_safe(kernels(row))}</th>{cells}</tr>'


def _cell(table: Table, row: Row, number: int) -> str:
    cell = row.cells[number]
    first, *more = map(_safe, says(cell))
    kind, recorded = evidence(table, row, number)
    under = f' title="recorded under {", ".join(recorded)}"' if recorded else ""
    known = f' <span class="mark"{under}>{mark(kind)}</span>' if kind else ""
    wrong = ' class="wrong"' if cell.findings or cell.end.is_loss else ""
    return f"<td{wrong}><p>{first}{known}</p>{''.join(f'<p>{each}</p>' for each in more)}</td>"


def _safe(text: str) -> str:
    # `##[` is a command in the logs of some CI services.
    return escape(printable(text)).replace("##[", "#&#35;[")
