"""Measuring: error, timing, memory, tasks, and what the measurement was taken on."""
