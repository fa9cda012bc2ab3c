#!/usr/bin/env bash
# Installs the Debian packages that the tests need, when this user may: compilers for this
# machine and for Cortex-M4. Elsewhere it names what is missing and leaves it to the tests,
# which fail in CI and skip on a developer's machine.
set -euo pipefail

packages=()
want() { command -v "$1" >/dev/null 2>&1 || packages+=("${@:2}"); }
want gcc gcc libc6-dev
want g++ g++
want clang clang
want arm-none-eabi-gcc gcc-arm-none-eabi
[ -e /usr/lib/arm-none-eabi/include/string.h ] || packages+=(libnewlib-arm-none-eabi)
[ ${#packages[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "not a Debian system; please install what provides: ${packages[*]}" >&2
    exit 0
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "please install: sudo apt-get install --no-install-recommends ${packages[*]}" >&2
        exit 0
    fi
    as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}"
