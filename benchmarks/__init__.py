"""Benchmarks: cases are records, results are data, tables are generated."""
