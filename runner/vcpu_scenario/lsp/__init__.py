"""A language server for scenarios: what ``check``, ``fmt``, ``explain`` and ``history`` know, where
a scenario is written. One module for each thing that an editor asks for."""
