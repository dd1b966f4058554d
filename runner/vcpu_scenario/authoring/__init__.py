"""Help for authors of scenarios: formatting, templates, the schema and its reference."""
