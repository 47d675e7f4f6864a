#!/usr/bin/env bash
# Starts the release binary. On an empty data folder it makes one sample picture, clip and spoken
# line through the public API, so that the first look shows results.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh

pixel=$target_dir/release/pixel
[[ -x $pixel ]] || die "$pixel is missing: run \`make build\` first."

# One effective setting, as Pixel itself reads it.
settings=$("$pixel" config --json)
setting() {
  node -e '
    const { settings } = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const row = settings.find((row) => row.setting === process.argv[1]);
    if (!row) throw new Error("pixel config does not know " + process.argv[1]);
    console.log(row.value);
  ' "$1" <<<"$settings"
}
listen=$(setting listen)
data=$(setting data)
port=${listen##*:}
# What a client on this machine calls when the server listens on every address.
host=${listen%:*}
case $host in 0.0.0.0) host=127.0.0.1 ;; '[::]') host='[::1]' ;; esac
base=http://$host:$port

bare=${host#[}
if (exec 3<>"/dev/tcp/${bare%]}/$port") 2>/dev/null; then
  die "Port $port is taken: another program listens there. Stop it, or choose a port: PIXEL_LISTEN=127.0.0.1:8001 make run"
fi

first_start=false
if [[ ! -d $data || -z $(ls -A "$data") ]]; then first_start=true; fi

# In a process group of its own: Ctrl-C reaches this script, which passes it on once.
set -m
"$pixel" serve &
server=$!
set +m
stopping=false
trap 'stopping=true; kill -TERM "$server" 2>/dev/null || true' INT TERM
if ! ready "$base" "$server" 60; then
  $stopping && exit 0
  stop "$server"
  die "Pixel did not become ready; its log above says why. \`$pixel doctor\` looks for the usual causes."
fi

# sample NAME TYPE BODY: makes one and prints where it is.
sample() {
  local name=$1 type=$2 body=$3 answer id status end=$((SECONDS + 180))
  answer=$(curl -sS --max-time 30 -H 'Content-Type: application/json' -d "$body" "$base/api/v1/generations/$type") || answer=
  id=$(sed -n 's/.*"task_id" *: *"\([^"]*\)".*/\1/p' <<<"$answer")
  [[ -n $id ]] || { echo "  $name: not accepted: $answer"; return; }
  while :; do
    answer=$(curl -sS --max-time 30 "$base/api/v1/tasks/$id") || answer=
    status=$(grep -o '"status" *: *"[a-z]*"' <<<"$answer" | head -n 1 | grep -o '[a-z]*"$' | tr -d '"') || status=
    case $status in
      completed) break ;;
      failed) echo "  $name: failed: $answer"; return ;;
    esac
    if $stopping || ((SECONDS >= end)); then echo "  $name: not ready yet, see $base/api/v1/tasks/$id"; return; fi
    sleep 0.3
  done
  echo "  $name: $(grep -o '"url" *: *"[^"]*"' <<<"$answer" | head -n 1 | sed 's/.*"\([^"]*\)"$/\1/')"
}

if $first_start; then
  echo
  echo "The data folder was empty, so here are three samples of the sandbox:"
  sample picture image '{"model":"sandbox/painter","prompt":"A lighthouse above a calm sea at dawn","aspectRatio":"16:9"}'
  sample clip video '{"model":"sandbox/animator","prompt":"Clouds over a mountain lake","duration":"5s","resolution":"720p"}'
  sample speech audio '{"model":"sandbox/speaker","prompt":"Hello. Pixel is running, and nothing of yours gets lost."}'
fi
if ! $stopping; then
  cat <<TEXT

Pixel listens on $base
  documentation   $base/docs   and   $base/redoc
  all models      $base/api/v1/models
  all tasks       $base/api/v1/tasks

Try it:
  curl -s $base/api/v1/generations/image -d '{"model":"sandbox/painter","prompt":"A red fox in the snow"}'

Ctrl-C stops it.
TEXT
fi

# The first wait is cut short by the signal; the second one waits for the server's own end.
code=0
wait "$server" || code=$?
if $stopping; then
  wait "$server" 2>/dev/null || true
  echo "Pixel has stopped."
  exit 0
fi
exit "$code"
