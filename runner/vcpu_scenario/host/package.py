"""This package: its version and where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Final

VERSION = "0.2.0"

FOLDER: Final = Path(__file__).parents[1]
