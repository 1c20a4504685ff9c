#!/usr/bin/env bash
# `make test` with the newest release of every dependency, Rust's and Python's, in a copy of the tree that it removes.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z | tar --create --null --files-from=- | tar --extract --directory "$copy"
cd "$copy"
cargo update
"${PYTHON:-python3}" scripts/environments.py lock
make test
