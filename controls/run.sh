#!/bin/sh
# Breaks one rule at a time and passes only if the test named beside it turns red.
#
# Each patch in this folder is a control. Its head says what it breaks, and in a line `Test: …`
# which arguments of `cargo nextest run` choose the test. The tree, uncommitted changes and all, is
# copied below the target folder, so that nothing here touches the tree itself and a second run
# builds little. Usage: controls/run.sh [name of a control]...
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tree=$(dirname "$here")
CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$tree/target}/controls"
export CARGO_TARGET_DIR
copy="$CARGO_TARGET_DIR/tree"
logs="$CARGO_TARGET_DIR/logs"
mkdir -p "$copy" "$logs"

# Brings the copy to the state of the tree; what did not change keeps its time, and so its build.
copy_tree() {
    (cd "$tree" && git ls-files -z --cached --others --exclude-standard) >"$logs/files"
    rm -rf "$copy/crates" "$copy/catalog"
    (cd "$tree" && tar --null --ignore-failed-read -T "$logs/files" -cf - 2>/dev/null) | tar -xf - -C "$copy"
    touch_patched
}

# A patched file, and the same file put back, must both look newer than what was built before.
touch_patched() {
    [ ! -f "$logs/patched" ] || (cd "$copy" && xargs touch <"$logs/patched")
}

# Exit codes of nextest: 0 green, 100 a test failed, 101 it did not build, 4 no such test.
run_test() {
    log=$1 arguments=$2
    (cd "$copy" && eval "cargo nextest run --no-fail-fast $arguments") >"$log" 2>&1 && code=0 || code=$?
}

say() {
    printf '%-28s %-10s %s\n' "$1" "$2" "$3"
}

failed=0
verdict() {
    say "$1" "$2" "$3"
    [ "$2" = good ] || failed=$((failed + 1))
}

judge() {
    name=$1 arguments=$2 log="$logs/$1.log"
    copy_tree
    run_test "$log" "$arguments"
    if [ "$code" -ne 0 ]; then
        verdict "$name" BAD "the test is not green without the patch (code $code, see $log)"
        return
    fi
    if ! (cd "$copy" && patch -p1 -s -F0 --no-backup-if-mismatch <"$here/$name.patch") >"$log" 2>&1; then
        verdict "$name" BAD "the patch does not apply any more (see $log)"
        return
    fi
    sed -n 's|^+++ b/||p' "$here/$name.patch" >"$logs/patched"
    touch_patched
    run_test "$log" "$arguments"
    case $code in
        100) verdict "$name" good "red as it must be: $arguments" ;;
        0) verdict "$name" BAD "the test stays green although the rule is broken: $arguments" ;;
        4) verdict "$name" BAD "no test fits: $arguments" ;;
        *) verdict "$name" BAD "it did not build (code $code, see $log)" ;;
    esac
}

[ $# -gt 0 ] || set -- $(cd "$here" && ls ./*.patch | sed 's|^\./||; s|\.patch$||')
say control verdict reason
for name in "$@"; do
    arguments=$(sed -n 's/^Test: //p' "$here/$name.patch")
    if [ -n "$arguments" ]; then
        judge "$name" "$arguments"
    else
        verdict "$name" BAD "its head names no test (a line 'Test: …')"
    fi
done
[ "$failed" -eq 0 ] || { echo "$failed controls are not good"; exit 1; }
