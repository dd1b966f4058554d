"""The host: files read and written safely, signals, text for a terminal. Imports nothing of
ours."""
