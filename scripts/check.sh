#!/usr/bin/env bash
# Format, lints, house rules. The second clippy run is for tests and tools, which may panic and may
# read the environment.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all --check
cargo clippy -q --workspace --exclude pixel-testkit --exclude pixel-bench --lib --bins -- -D warnings
cargo clippy -q --workspace --all-targets -- -D warnings \
  -A clippy::unwrap_used -A clippy::expect_used -A clippy::disallowed_methods
cargo xtask tidy
