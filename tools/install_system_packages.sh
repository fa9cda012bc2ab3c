#!/usr/bin/env bash
# Installs the Debian packages that the tests need, when this user may: compilers for this
# machine, Cortex-M, RISC-V and AVR, and emulators of boards. Elsewhere it names what is missing
# and leaves it to the tests, which fail in CI and skip on a developer's machine.
set -euo pipefail

packages=()
want() { command -v "$1" >/dev/null 2>&1 || packages+=("${@:2}"); }
want gcc gcc libc6-dev
want g++ g++
want clang clang
want arm-none-eabi-gcc gcc-arm-none-eabi
[ -e /usr/lib/arm-none-eabi/include/string.h ] || packages+=(libnewlib-arm-none-eabi)
want riscv64-unknown-elf-gcc gcc-riscv64-unknown-elf
want avr-gcc gcc-avr
[ -e /usr/lib/avr/include/avr/io.h ] || packages+=(avr-libc)
want make make
want qemu-system-arm qemu-system-arm
want qemu-system-riscv32 qemu-system-misc
[ -e /usr/include/simavr/sim_avr.h ] || packages+=(libsimavr-dev)
[ -e /usr/include/libelf.h ] || packages+=(libelf-dev)
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
