# Thin: each line is a command one could type.
PYTHON ?= python3

help:
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/'
