#!/usr/bin/env bash
# Holds the committed API document against the one that the binary serves, and has a public
# validator judge it. With the argument `accept` it writes the served one into the tree.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh

snapshot=docs/openapi.json
validator=openapi-spec-validator==0.9.0

cargo build -q -p pixel-server
folder=$(mktemp -d)
server=
trap '[[ -z $server ]] || stop "$server"; rm -rf "$folder"' EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$target_dir/debug/pixel" serve --sandbox --listen "127.0.0.1:$port" --data "$folder/data" >"$folder/log" 2>&1 &
server=$!
ready "http://127.0.0.1:$port" "$server" 60 || die "the server did not become ready: $(tail -n 20 "$folder/log")"
curl -fsS "http://127.0.0.1:$port/openapi.json" | python3 -m json.tool --indent 2 --no-ensure-ascii >"$folder/served.json"

if [[ ${1:-} == accept ]]; then
  cp "$folder/served.json" "$snapshot"
  echo "$snapshot is now the document that the server serves."
elif ! diff -u "$snapshot" "$folder/served.json"; then
  die "the API has changed: look at the difference above, and accept it with \`make openapi\`."
fi

venv=$target_dir/venv
if ! "$venv/bin/pip" freeze 2>/dev/null | grep -qx "$validator"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q "$validator"
fi
"$venv/bin/openapi-spec-validator" "$snapshot"
