"""``scenario migrate``: scenarios of older forms of the language in its present one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vcpu_scenario.cli.rewriting import Form, rewrite
from vcpu_scenario.cli.status import Status
from vcpu_scenario.host.textfile import BOM


def migrate(paths: Sequence[str], check: bool, diff: bool) -> Status:
    """Migrates every scenario in place; with ``check`` or ``diff`` changes nothing, tells what
    would change, and fails if anything would. ``-`` migrates standard input to standard output."""
    form = Form("migrate", _migrated, "in an older form of the language", "nothing to migrate")
    return rewrite(paths, form, check=check, diff=diff)


def _migrated(text: str, path: Path) -> str:
    from vcpu_scenario.authoring.migrating import migrated

    mark = BOM if text.startswith(BOM) else ""
    return mark + migrated(text.removeprefix(BOM), path)
