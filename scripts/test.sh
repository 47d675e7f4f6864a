#!/usr/bin/env bash
# Everything that must hold. Each step is timed and runs even when one before it failed, so that a
# run tells all; nothing is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh
mkdir -p "$target_dir"
log=$target_dir/tests.log
: >"$log"

steps_failed=()
step() {
  local name=$1 begin=$SECONDS
  shift
  echo
  echo "== $name"
  if "$@"; then
    echo "-- $name: ok, $((SECONDS - begin)) s"
  else
    echo "-- $name: FAILED, $((SECONDS - begin)) s"
    steps_failed+=("$name")
  fi
}

unit_tests() { cargo nextest run --workspace --no-fail-fast --color=never 2>&1 | tee -a "$log"; }
doc_tests() { cargo test --workspace --doc --no-fail-fast --color=never 2>&1 | tee -a "$log"; }

sealed() { cargo build -q -p pixel-server && bash scripts/sealed.sh "$target_dir/debug/pixel"; }

# Sums the numbers before a word in the lines that close a run.
sum() { grep -E '^ *Summary \[|^test result:' "$log" | grep -oE "[0-9]+ $1" | awk '{ n += $1 } END { print n + 0 }'; }

step 'tools' bash scripts/tools.sh
# Without tools or scripts nothing below can be right.
((${#steps_failed[@]} == 0)) || exit 1
step 'assets' bash scripts/assets.sh
step 'SDKs' bash scripts/sdks.sh
((${#steps_failed[@]} == 0)) || exit 1
step 'format, lints, house rules' bash scripts/check.sh
rm -rf "$target_dir/tmp/trials"
step 'tests' unit_tests
step 'doc tests' doc_tests
step 'API document' bash scripts/openapi.sh
step 'no crash points for users' sealed

echo
echo "== what was tried with each vendor (crates/server/tests/suite/trials.rs)"
for table in "$target_dir"/tmp/trials/*.txt; do
  [[ ! -f $table ]] || { cat "$table"; echo; }
done
if ((${#steps_failed[@]})); then printf 'step failed: %s\n' "${steps_failed[@]}"; fi
echo "all in ${SECONDS} s"
echo "$(sum passed) passed, $(sum failed) failed"
((${#steps_failed[@]} == 0))
