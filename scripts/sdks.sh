#!/usr/bin/env bash
# Fetches the vendors' SDKs for Python that the simulator is tried with, in a folder of their own,
# when their list has changed since.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh

folder=crates/simulator/tests/sdks
if ! cmp -s "$folder/requirements.txt" "$folder/venv/installed.txt"; then
  rm -rf "$folder/venv"
  python3 -m venv "$folder/venv"
  "$folder/venv/bin/pip" install -q --disable-pip-version-check -r "$folder/requirements.txt"
  cp "$folder/requirements.txt" "$folder/venv/installed.txt"
fi
