#!/usr/bin/env bash
# Installs what the tests need and this machine lacks, or says in one sentence what to install.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

# A command, or a check, and the Debian package that brings it.
missing=()
need() { eval "$1" >/dev/null 2>&1 || missing+=("$2"); }
need 'command -v c++' build-essential
need 'command -v curl' curl
need 'command -v git' git
need 'command -v patch' patch
need 'command -v python3' python3
need 'python3 -c "import ensurepip, venv"' python3-venv
need 'ls /usr/lib/postgresql/*/bin/initdb || command -v initdb' postgresql
need 'command -v chromium' chromium
need 'command -v Xvfb' xvfb
need 'command -v xdotool' xdotool
need 'command -v ffmpeg && command -v ffprobe' ffmpeg
need 'command -v espeak-ng' espeak-ng
need 'command -v strace' strace
need 'command -v ip' iproute2
need 'command -v unshare' util-linux
need 'fc-list | grep -q .' fonts-dejavu-core

if ((${#missing[@]})); then
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    echo "installing: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    die "The tests need more than this machine has: install ${missing[*]} (Debian names), or run as root on Debian."
  fi
fi
command -v npm >/dev/null || die "npm is missing: install Node.js (20 or newer)."
if ! command -v cargo-nextest >/dev/null; then
  echo "installing: cargo-nextest"
  cargo install -q --locked cargo-nextest
fi

# A real S3-compatible server, for tests only; outside the tree, since it is none of ours. The newest
# version that the tree's own Rust builds.
s3s_fs=0.14.1
tools=${XDG_CACHE_HOME:-$HOME/.cache}/pixel-tools
if [[ $("$tools/bin/s3s-fs" --version 2>/dev/null) != "s3s-fs $s3s_fs" ]]; then
  echo "installing: s3s-fs $s3s_fs"
  cargo install -q --locked --force s3s-fs --version "$s3s_fs" --features binary --root "$tools"
fi
