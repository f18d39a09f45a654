#!/usr/bin/env bash
# Installs the system tools that some fault tests want and npm cannot bring: strace. Says so where it cannot.
set -euo pipefail

command -v strace > /dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
  echo 'strace is missing, and this script cannot install it: run it as root where there is apt-get, or install strace' >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get install -y --no-install-recommends strace > /dev/null 2>&1 ||
  { apt-get update > /dev/null && apt-get install -y --no-install-recommends strace > /dev/null; }
command -v strace > /dev/null
