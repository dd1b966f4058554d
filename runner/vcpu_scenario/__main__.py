"""``python -m vcpu_scenario`` is ``scenario``."""

from __future__ import annotations

import sys

from vcpu_scenario.process import main

if __name__ == "__main__":
    sys.exit(main())
