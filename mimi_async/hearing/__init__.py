"""Hearing: audiograms, the threshold test, and estimates by age. Pure functions and values."""
