#!/usr/bin/env bash
# The pieces of the gate (crates/server/tests/gate) with larger counts, one after another. Each is
# written into docs/proof/soak.json when it ends, so that a soak can be taken up piece by piece:
#   make soak                                    every piece
#   make soak ARGS="kills zombies"               these
#   make soak ARGS="kills --count 1000"          with a count of its own
#   make soak ARGS="kills --count 10 --seed 7"   the very same again
#   make soak ARGS="--list"                      what there is
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh

# Piece, its test, its count.
pieces='
kills                 kills::forty_kills_lose_and_repeat_nothing::sqlite                     1000
replica_kills         kills::ten_kills_of_three_replicas_lose_and_repeat_nothing::postgres   300
zombies               kills::ten_frozen_replicas_write_nothing::postgres                     300
database_kills        kills::five_deaths_of_the_database_lose_nothing::postgres              200
crash_points_embedded points::every_crash_point_embedded::sqlite                             5
crash_points_polled   points::every_crash_point_polled::sqlite                               5
crash_points_classes  points::every_crash_point_of_every_class::sqlite                     5
crash_points_computed points::every_crash_point_of_the_server::sqlite                        5
crash_points_postgres points::every_crash_point_once::postgres                               5
disk_faults_taking    disk::disk_faults_while_a_task_is_taken::sqlite                        90
disk_faults_working   disk::disk_faults_while_a_task_is_worked_on::sqlite                    126
disk_faults_starting  disk::a_start_on_a_read_only_disk_is_refused::sqlite                   1
mixed_faults          mixed::mixed_faults_lose_and_repeat_nothing::sqlite                10000
leaks                 leaks::after_the_load_everything_is_given_back::sqlite                 10
'

chosen=() count='' seed=''
while (($#)); do
  case $1 in
    --list) awk 'NF { print $1 "\t" $3 }' <<<"$pieces" | expand -t 24; exit ;;
    --count) count=${2:?--count needs a number}; shift ;;
    --seed) seed=${2:?--seed needs a number}; shift ;;
    -*) die "there is no option $1: see the top of scripts/soak.sh." ;;
    *) grep -q "^$1 " <<<"$pieces" || die "there is no piece $1: see make soak ARGS=--list."; chosen+=("$1") ;;
  esac
  shift
done

bash scripts/tools.sh
mkdir -p docs/proof
revision=$(git rev-parse HEAD)
[[ -z $(git status --porcelain --untracked-files=no) ]] || revision="$revision, changed"
export PIXEL_SOAK_RECORD="$PWD/docs/proof/soak.json" PIXEL_SOAK_REVISION=$revision
[[ -z $seed ]] || export PIXEL_TEST_SEED=$seed

failed=()
while read -r piece test usual; do
  [[ -n $piece ]] || continue
  ((${#chosen[@]} == 0)) || [[ " ${chosen[*]} " == *" $piece "* ]] || continue
  echo "== $piece: ${count:-$usual}"
  PIXEL_SOAK=${count:-$usual} cargo nextest run -p pixel-server --test gate --no-capture -E "test(=$test)" </dev/null ||
    failed+=("$piece")
done <<<"$pieces"
((${#failed[@]} == 0)) || die "broken: ${failed[*]}. The record says with which seed."
