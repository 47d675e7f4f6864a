#!/usr/bin/env bash
# Shows that the tests can fail: applies each controls/*.patch, which breaks one rule, to a copy of
# the tree, and passes only if the test that the patch names turns red. A patch says above its diff
# which test that is, as arguments for nextest:
#   Test: -p pixel-engine -E 'test(the_name)'
# An argument to this script picks the patches whose name contains it.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh
mkdir -p "$target_dir/controls"
work=$(cd "$target_dir/controls" && pwd)
copy=$work/tree

shopt -s nullglob
patches=(controls/*"${1:-}"*.patch)
((${#patches[@]})) || die "no patch in controls/ has such a name."
command -v cargo-nextest >/dev/null || die "cargo-nextest is missing: cargo install --locked cargo-nextest"

# The copy is kept between runs. Only what differs is written, with a new time, so that cargo
# rebuilds exactly that; a file that went away in the tree goes away in the copy.
mkdir -p "$copy"
files() { git ls-files -z --cached --others --exclude-standard; }
while IFS= read -r -d '' file; do
  [[ ! -f $file ]] || cmp -s "$file" "$copy/$file" || cp --parents "$file" "$copy"
done < <(files)
comm -z -13 <(files | sort -z) <(cd "$copy" && find . -type f -not -path '*/node_modules/*' -printf '%P\0' | sort -z) |
  (cd "$copy" && xargs -0 -r rm -f --)
for modules in crates/server/web/node_modules crates/server/tests/js/node_modules; do
  rm -rf "${copy:?}/$modules"
  cp -rp --parents "$modules" "$copy"
done

# nextest ends with 0 when all pass, with 100 when a test fails, else when something is broken.
run_test() {
  local arguments
  arguments=$(sed -n 's/^Test: //p' "$1" | head -n 1)
  [[ -n $arguments ]] || die "$1 has no line \`Test: …\` above its diff."
  # The line quotes its filter as a shell does.
  (cd "$copy" && eval "CARGO_TARGET_DIR='$work/target' cargo nextest run --color=never $arguments") >"$work/log" 2>&1
}

failed=0
for patch in "${patches[@]}"; do
  name=$(basename "$patch" .patch)
  code=0
  run_test "$patch" || code=$?
  if ((code != 0)); then
    tail -n 30 "$work/log"
    die "$name: its test does not pass even before the rule is broken."
  fi
  patch -s -d "$copy" -p1 <"$patch" || die "$name: the patch does not apply any more."
  code=0
  run_test "$patch" || code=$?
  patch -s -R -d "$copy" -p1 <"$patch"
  case $code in
    100) echo "ok      $name: its test turned red" ;;
    0) echo "FAILED  $name: the rule is broken and its test still passes"; failed=$((failed + 1)) ;;
    *) tail -n 30 "$work/log"; echo "FAILED  $name: the broken tree cannot be tested"; failed=$((failed + 1)) ;;
  esac
done
echo "controls: $((${#patches[@]} - failed)) passed, $failed failed"
((failed == 0))
