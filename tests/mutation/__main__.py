"""``python -m tests.mutation clauses --count 5000``: nothing passes that does not hold.

``clauses`` changes what passing cases expect and compares the verdict with a judge of its own;
``patterns`` does so for short patterns over short texts, ``conditions`` for what a clause expects
in one case and not in another. ``claims`` changes one thing that a scenario expects in its text and
runs it, ``additions`` adds one that is false, impossible or empty. ``faults`` spoils one word of a
scenario, which must draw one kind of error. Each is a function of its seed.
"""

from __future__ import annotations

import argparse

from tests.mutation.additions import additions
from tests.mutation.claims import claims
from tests.mutation.conditions import conditions
from tests.mutation.faults import faults
from tests.mutation.search import clauses, patterns

_SEARCHES = {
    "additions": additions,
    "claims": claims,
    "clauses": clauses,
    "patterns": patterns,
    "conditions": conditions,
    "faults": faults,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("search", choices=sorted(_SEARCHES))
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=5000)
    options = parser.parse_args()
    tally = _SEARCHES[options.search](options.seed, options.count)
    print(*tally.wrong or (), sep="\n", end="\n" if tally.wrong else "")
    wrong = len(tally.wrong or ())
    print(f"{tally.tried} tried, {tally.false} must not hold, {wrong} judged otherwise")
    return 1 if wrong else 0


raise SystemExit(main())
