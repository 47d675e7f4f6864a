#!/usr/bin/env bash
# Fetches the third-party scripts of the API pages, of the browser tests and of the vendors' SDKs,
# each in its own folder, when their lock file has changed since.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh

command -v npm >/dev/null || die "npm is missing: install Node.js (20 or newer), it fetches the scripts of /docs and /redoc."
for folder in crates/server/web crates/server/tests/js crates/simulator/tests/sdks; do
  installed=$folder/node_modules/.package-lock.json
  if [[ ! -f $installed || $folder/package-lock.json -nt $installed || $folder/package.json -nt $installed ]]; then
    (cd "$folder" && npm ci --loglevel=error)
    touch "$installed"
  fi
done
