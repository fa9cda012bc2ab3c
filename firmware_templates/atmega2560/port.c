/* ATmega2560 at 16 MHz: USART0, 115200 baud, polled; timer 1 counts the core's cycles. */
#include "edge_lstm_port.h"

#include <avr/interrupt.h>
#include <avr/io.h>

#define STACK_PAINT 0xac

/* Of avr-libc's linker script. */
extern uint8_t __data_start, __data_end, __data_load_end, __bss_end, __stack;

static volatile uint16_t timer_overflows;

/* Between the start and .data there is a moment at which nobody has a stack yet. */
void paint_stack(void) __attribute__((naked, used, section(".init1")));
void paint_stack(void)
{
    __asm volatile("ldi r30, lo8(__bss_end)\n"
                   "ldi r31, hi8(__bss_end)\n"
                   "ldi r24, %0\n"
                   "ldi r25, hi8(__stack)\n"
                   "1: st Z+, r24\n"
                   "cpi r30, lo8(__stack)\n"
                   "cpc r31, r25\n"
                   "brlo 1b\n" ::"M"(STACK_PAINT));
}

ISR(TIMER1_OVF_vect)
{
    ++timer_overflows;
}

void edge_lstm_port_init(void)
{
    UCSR0A = 1u << U2X0;
    UBRR0 = 16; /* 117647 baud: 2 % fast, within what a receiver takes */
    UCSR0C = (1u << UCSZ01) | (1u << UCSZ00);
    UCSR0B = (1u << RXEN0) | (1u << TXEN0);
    TCCR1A = 0;
    TCCR1B = 1u << CS10;
    TIMSK1 = 1u << TOIE1;
    sei();
}

uint8_t edge_lstm_port_getc(void)
{
    while ((UCSR0A & (1u << RXC0)) == 0) {
    }
    return UDR0;
}

void edge_lstm_port_putc(uint8_t byte)
{
    while ((UCSR0A & (1u << UDRE0)) == 0) {
    }
    UDR0 = byte;
}

uint32_t edge_lstm_port_ticks(void)
{
    const uint8_t status = SREG;
    cli();
    const uint16_t low = TCNT1;
    uint16_t high = timer_overflows;
    if ((TIFR1 & (1u << TOV1)) != 0 && low < 0x8000u) {
        ++high; /* it overflowed after cli */
    }
    SREG = status;
    return ((uint32_t)high << 16) | low;
}

uint32_t edge_lstm_port_ticks_per_second(void)
{
    return F_CPU;
}

void edge_lstm_port_memory(edge_lstm_memory *memory)
{
    const uint8_t *lowest = &__bss_end;
    while (lowest < &__stack && *lowest == STACK_PAINT) {
        ++lowest;
    }
    memory->flash_used = (uint16_t)&__data_load_end;
    memory->static_ram = (uint16_t)(&__bss_end - &__data_start);
    memory->stack_room = (uint16_t)(&__stack - &__bss_end + 1);
    memory->stack_used = (uint16_t)(&__stack - lowest + 1);
}
