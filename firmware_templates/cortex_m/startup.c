/* What runs before main on a Cortex-M: stack paint, .data, .bss, the floating point unit. And
   what the core offers every board: a cycle counter, and a look at the stack. */
#include <stdint.h>

#include "edge_lstm_port.h"

extern uint32_t __text_start[], __data_load[], __data_start[], __data_end[], __bss_start[],
    __bss_end[], __stack_limit[], __stack_top[];

int main(void);
void reset_handler(void);
void default_handler(void);

enum { VECTORS = 16 };
static const uint32_t STACK_PAINT = UINT32_C(0x57ac57ac);

#define CPACR (*(volatile uint32_t *)0xe000ed88u)
#define DEMCR (*(volatile uint32_t *)0xe000edfcu)
#define DWT_CTRL (*(volatile uint32_t *)0xe0001000u)
#define DWT_CYCCNT (*(volatile uint32_t *)0xe0001004u)

typedef void (*vector)(void);

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack_top;
    vector handlers[VECTORS - 1];
} vectors = {
    __stack_top,
    {reset_handler, default_handler, default_handler, default_handler, default_handler,
     default_handler, default_handler, default_handler, default_handler, default_handler,
     default_handler, default_handler, default_handler, default_handler, default_handler},
};

/* A fault stops here, where a debugger finds it and the host hears silence. */
void default_handler(void)
{
    for (;;) {
    }
}

/* Naked words, no memset: below this function's frame the whole stack is painted. */
__attribute__((noreturn)) void reset_handler(void)
{
    uint32_t *mark = (uint32_t *)(uintptr_t)__builtin_frame_address(0);
    for (volatile uint32_t *word = __stack_limit; word < mark - 16; ++word) {
        *word = STACK_PAINT;
    }
    const uint32_t *from = __data_load;
    for (volatile uint32_t *word = __data_start; word < __data_end; ++word) {
        *word = *from;
        ++from;
    }
    for (volatile uint32_t *word = __bss_start; word < __bss_end; ++word) {
        *word = 0;
    }
#ifdef __ARM_FP
    CPACR |= UINT32_C(0xf) << 20;
    __asm volatile("dsb\n isb" ::: "memory");
#endif
    (void)main();
    for (;;) {
    }
}

void edge_lstm_port_memory(edge_lstm_memory *memory)
{
    const volatile uint32_t *lowest = __stack_limit;
    while (lowest < __stack_top && *lowest == STACK_PAINT) {
        ++lowest;
    }
    const uintptr_t data = (uintptr_t)__data_end - (uintptr_t)__data_start;
    const uintptr_t bss = (uintptr_t)__bss_end - (uintptr_t)__bss_start;
    memory->flash_used = (uint32_t)((uintptr_t)__data_load - (uintptr_t)__text_start + data);
    memory->static_ram = (uint32_t)(data + bss);
    memory->stack_room = (uint32_t)((uintptr_t)__stack_top - (uintptr_t)__stack_limit);
    memory->stack_used = (uint32_t)((uintptr_t)__stack_top - (uintptr_t)lowest);
}

#if __ARM_ARCH >= 7

uint32_t edge_lstm_port_ticks(void)
{
    return DWT_CYCCNT;
}

/* An emulator may have the counter's registers and no counter behind them. */
uint32_t edge_lstm_port_ticks_per_second(void)
{
    DEMCR |= UINT32_C(1) << 24;
    DWT_CTRL |= 1u;
    const uint32_t before = DWT_CYCCNT;
    __asm volatile("nop\n nop\n nop\n nop");
    return DWT_CYCCNT != before ? EDGE_LSTM_CORE_HZ : 0;
}

#else /* Armv6-M has no cycle counter */

uint32_t edge_lstm_port_ticks(void)
{
    return 0;
}

uint32_t edge_lstm_port_ticks_per_second(void)
{
    return 0;
}

#endif
