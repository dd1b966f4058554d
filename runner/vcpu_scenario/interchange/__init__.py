"""Cases and traces as JSON: into a lab's guest and back, and in reports.

Standard library and records only."""
