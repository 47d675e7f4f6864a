#!/usr/bin/env bash
# Licences, bans and advisories of all dependencies, by deny.toml.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh

command -v cargo-deny >/dev/null || die "cargo-deny is missing: cargo install --locked cargo-deny"
cargo deny check
