"""The language server, for pages that tell what an editor shows."""

from tests.editor.conftest import server

__all__ = ["server"]
