"""The architecture: syndromes and instructions, one place for each encoding."""
