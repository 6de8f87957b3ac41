"""Compare this library with short hand-written code that does the same: `python -m benchmarks`."""
