"""What this library costs, beside the shortest honest hand-written code that does the same: `python -m benchmarks`."""
