#!/usr/bin/env bash
# Fetches the third-party scripts of the API pages, when the lock file has changed since.
set -euo pipefail
cd "$(dirname "$0")/../crates/server/web"

installed=node_modules/.package-lock.json
if [[ -f $installed && ! package-lock.json -nt $installed && ! package.json -nt $installed ]]; then
  exit 0
fi
if ! command -v npm >/dev/null; then
  echo "npm is missing: install Node.js (20 or newer), it fetches the scripts of /docs and /redoc." >&2
  exit 1
fi
npm ci --loglevel=error
touch "$installed"
