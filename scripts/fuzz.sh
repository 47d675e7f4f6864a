#!/usr/bin/env bash
# Fuzzes every reader of foreign bytes, one after another:
#   fuzz.sh [--seconds N] [TARGET…]      N seconds each, 360 where nothing is said
# What a run learns stays in fuzz/corpus, a finding in fuzz/artifacts; neither is in the tree.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh

seconds=360
targets=()
while (($#)); do
  case $1 in
    --seconds) seconds=${2:?how many seconds?} && shift 2 ;;
    -*) die "unknown option $1: fuzz.sh [--seconds N] [TARGET…]" ;;
    *) targets+=("$1") && shift ;;
  esac
done
((${#targets[@]})) || mapfile -t targets < <(ls fuzz/seeds)

rustup toolchain list 2>/dev/null | grep -q '^nightly' ||
  die "The fuzzer needs the nightly compiler: rustup toolchain install nightly."
command -v cargo-fuzz >/dev/null || cargo install -q --locked cargo-fuzz
# Media are read from files: those need no disk.
if [[ -w /dev/shm ]]; then export TMPDIR=/dev/shm; fi

# None of our code is unsafe, so that a sanitizer would only make it slower.
cargo +nightly fuzz build --sanitizer none
failed=()
for target in "${targets[@]}"; do
  echo "== $target"
  mkdir -p "fuzz/corpus/$target"
  cargo +nightly fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 || failed+=("$target")
done
echo "fuzz: ${#targets[@]} targets, ${#failed[@]} with findings ${failed[*]}"
((${#failed[@]} == 0))
