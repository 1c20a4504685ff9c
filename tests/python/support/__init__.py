"""What several tests stand on: the two libraries, servers to ask, programs to run, and how to compare and to wait."""
