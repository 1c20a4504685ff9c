"""The side-by-side measurements: ``make bench``, or ``python -m benches`` in the root of the project."""
