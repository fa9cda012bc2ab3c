"""A virtual Cortex-M: the generated C, cross-compiled and run instruction by instruction.

Counts are of executed instructions. They are exact and repeatable, and they are no cycles.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from unicorn import UC_ARCH_ARM, UC_HOOK_CODE, UC_MODE_MCLASS, UC_MODE_THUMB, Uc, arm_const

from converters.c_source import c_header, c_source
from converters.network import QuantizedNetwork
from firmware_templates import runtime_headers
from tests.conftest import require_tool

CORES = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33")

_FLASH, _RAM, _RETURN = 0x0, 0x20000000, 0x08000000
_SIZE = 1 << 22
_FPU = {"cortex-m4": ["-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]}
_LINKER_SCRIPT = """\
ENTRY(step)
MEMORY { FLASH (rx) : ORIGIN = 0x0 , LENGTH = 4M
         RAM (rwx) : ORIGIN = 0x20000000 , LENGTH = 1M }
SECTIONS { .text : { *(.text*) *(.rodata*) } > FLASH
           .bss : { *(.data*) *(.bss*) *(COMMON) } > RAM }
"""
_MAIN = """\
#include "{name}.h"
{name}_state state;
{name}_value input[{upper}_INPUT_SIZE], output[{upper}_OUTPUT_SIZE];
void reset(void) {{ {name}_reset(&state); }}
void step(void) {{ {name}_step(&state, input, output); }}
"""


class CortexM:
    """One model on one core; ``flash`` is code and constants in bytes."""

    def __init__(self, network: QuantizedNetwork, core: str, folder: Path, *flags: str) -> None:
        self._network = network
        self._symbols, self.flash = _build(network, core, folder, flags)
        self._machine = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        model = getattr(arm_const, f"UC_CPU_ARM_{core.upper().replace('-', '_')}")
        self._machine.ctl_set_cpu_model(model)
        for start in (_FLASH, _RAM):
            self._machine.mem_map(start, _SIZE)
        self._machine.mem_map(_RETURN, 0x1000)
        self._machine.mem_write(_FLASH, (folder / "image.bin").read_bytes())
        self.instructions = 0
        self._machine.hook_add(UC_HOOK_CODE, self._count)
        self._call("reset")

    def step(self, inputs: np.ndarray) -> np.ndarray:
        """One step; ``instructions`` tells what it took."""
        self._machine.mem_write(self._symbols["input"], inputs.tobytes())
        self._call("step")
        raw = self._machine.mem_read(self._symbols["output"], self._network.outputs)
        return np.frombuffer(raw, np.int8)

    def _call(self, function: str) -> None:
        self.instructions = 0
        self._machine.reg_write(arm_const.UC_ARM_REG_SP, _RAM + (1 << 20))
        self._machine.reg_write(arm_const.UC_ARM_REG_LR, _RETURN | 1)
        self._machine.emu_start(self._symbols[function] | 1, _RETURN)

    def _count(self, *_: object) -> None:
        self.instructions += 1


def _build(
    network: QuantizedNetwork, core: str, folder: Path, flags: tuple[str, ...]
) -> tuple[dict[str, int], int]:
    name, upper = network.name, network.name.upper()
    texts = {
        f"{name}.h": c_header(network),
        f"{name}.c": c_source(network),
        "main.c": _MAIN.format(name=name, upper=upper),
        "flash.ld": _LINKER_SCRIPT,
    }
    texts |= {header.name: header.read_text("utf-8") for header in runtime_headers()}
    for file, text in texts.items():
        (folder / file).write_text(text, "utf-8")

    def run(tool: str, *arguments: str) -> str:
        command = [require_tool(f"arm-none-eabi-{tool}"), *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    target = [f"-mcpu={core}", "-mthumb", *_FPU.get(core, []), "-std=c99", f"-D{upper}_NO_FLOAT"]
    strict = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
    run("gcc", *target, *strict, *(flags or ("-O2",)), "-c", f"{name}.c", "-o", "model.o")
    link = ["-nostartfiles", "-T", "flash.ld", "--specs=nosys.specs", "-Wl,-z,noexecstack"]
    run("gcc", *target, "-O2", *link, "main.c", "model.o", "-o", "image.elf")
    run("objcopy", "-O", "binary", "-j", ".text", "image.elf", "image.bin")
    symbols = {
        fields[2]: int(fields[0], 16)
        for line in run("nm", "image.elf").splitlines()
        if len(fields := line.split()) == 3
    }
    return symbols, int(run("size", "model.o").splitlines()[1].split()[0])
