"""Expected against actual: aligns the two and names every difference."""
