/* QEMU's riscv32 "virt": a 16550 UART, polled, and what runs before main. */
#include "edge_lstm_port.h"

#include <stdint.h>

extern uint32_t __text_start[], __text_end[], __bss_start[], __bss_end[], __data_start[],
    __data_end[], __stack_limit[], __stack_top[];

#define UART(offset) (*(volatile uint8_t *)(0x10000000u + (offset)))
#define UART_DATA UART(0u)
#define UART_FIFO UART(2u)
#define UART_LINE UART(3u)
#define UART_STATUS UART(5u)

enum { RECEIVED = 0x01, TRANSMITTER_EMPTY = 0x20, EIGHT_BITS = 0x03, FIFO_ON = 0x01 };
static const uint32_t STACK_PAINT = UINT32_C(0x57ac57ac);

int main(void);
void start_c(void);

/* The machine loads the file into RAM, .data included. */
void start_c(void)
{
    uint32_t *mark = (uint32_t *)(uintptr_t)__builtin_frame_address(0);
    for (volatile uint32_t *word = __stack_limit; word < mark - 16; ++word) {
        *word = STACK_PAINT;
    }
    for (volatile uint32_t *word = __bss_start; word < __bss_end; ++word) {
        *word = 0;
    }
    (void)main();
}

void edge_lstm_port_init(void)
{
    UART_LINE = EIGHT_BITS; /* the emulated line has no baud rate to set */
    UART_FIFO = FIFO_ON;
}

uint8_t edge_lstm_port_getc(void)
{
    while ((UART_STATUS & RECEIVED) == 0) {
    }
    return UART_DATA;
}

void edge_lstm_port_putc(uint8_t byte)
{
    while ((UART_STATUS & TRANSMITTER_EMPTY) == 0) {
    }
    UART_DATA = byte;
}

/* The machine has no cycles to count. */
uint32_t edge_lstm_port_ticks(void)
{
    return 0;
}

uint32_t edge_lstm_port_ticks_per_second(void)
{
    return 0;
}

void edge_lstm_port_memory(edge_lstm_memory *memory)
{
    const volatile uint32_t *lowest = __stack_limit;
    while (lowest < __stack_top && *lowest == STACK_PAINT) {
        ++lowest;
    }
    const uintptr_t data = (uintptr_t)__data_end - (uintptr_t)__data_start;
    const uintptr_t bss = (uintptr_t)__bss_end - (uintptr_t)__bss_start;
    memory->flash_used = (uint32_t)((uintptr_t)__text_end - (uintptr_t)__text_start + data);
    memory->static_ram = (uint32_t)(data + bss);
    memory->stack_room = (uint32_t)((uintptr_t)__stack_top - (uintptr_t)__stack_limit);
    memory->stack_used = (uint32_t)((uintptr_t)__stack_top - (uintptr_t)lowest);
}
