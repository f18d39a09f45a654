#!/usr/bin/env bash
# Installs the system tools that some tests want and npm cannot bring: strace, Chromium. Says so where it cannot.
set -euo pipefail

missing=()
command -v strace > /dev/null || missing+=(strace)
command -v chromium > /dev/null || [ -n "${TOLLBRIDGE_TEST_CHROMIUM:-}" ] || missing+=(chromium)
[ ${#missing[@]} = 0 ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
  echo "${missing[*]} missing, and this script cannot install: run it as root where there is apt-get, or install them" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get install -y --no-install-recommends "${missing[@]}" > /dev/null 2>&1 ||
  { apt-get update > /dev/null && apt-get install -y --no-install-recommends "${missing[@]}" > /dev/null; }
for tool in "${missing[@]}"; do command -v "$tool" > /dev/null; done
