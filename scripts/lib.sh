# Shared by the scripts; sourced, not run.

# Where cargo puts what it builds.
target_dir=${CARGO_TARGET_DIR:-target}

die() {
  echo "$*" >&2
  exit 1
}

# Waits until a server answers /readyz: ready BASE PID SECONDS. Fails when its process ends.
ready() {
  local base=$1 pid=$2 end=$((SECONDS + $3))
  until curl -fsS -o /dev/null --max-time 2 "$base/readyz" 2>/dev/null; do
    kill -0 "$pid" 2>/dev/null || return 1
    ((SECONDS < end)) || return 1
    sleep 0.1
  done
}

# Ends a server of ours and waits for it.
stop() {
  kill -TERM "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}
