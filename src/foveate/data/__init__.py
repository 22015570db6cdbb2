"""Data files that ship with the package; SOURCES.md names where each comes from and its licence."""
