# Builds a Cortex-M firmware; the board's Makefile says CPU and CORE_HZ.
CROSS ?= arm-none-eabi-
CC = $(CROSS)gcc
CFLAGS ?= -O2
# For quoted names only: a model may be called as a header of the system is.
INCLUDE = -iquote . -iquote link -iquote model
FLAGS = $(CPU) -mthumb -std=c99 -Wall -Wextra -Wconversion -Werror -ffunction-sections \
        -fdata-sections -DEDGE_LSTM_CORE_HZ=$(CORE_HZ) $(INCLUDE)
LINK = -nostartfiles -Wl,--gc-sections -Wl,-Map=firmware.map -T board.ld
SOURCES = $(wildcard *.c link/*.c model/*.c)

firmware.elf: $(SOURCES) $(wildcard link/*.h model/*.h) Makefile cortex_m.mk board.ld sections.ld
	$(CC) $(FLAGS) $(CFLAGS) $(SOURCES) $(LINK) -o $@

clean:
	rm -f firmware.elf firmware.map
.PHONY: clean
