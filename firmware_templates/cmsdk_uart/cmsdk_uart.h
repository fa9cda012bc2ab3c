/* The UART of Arm's MPS boards ("APB UART" of the Cortex-M System Design Kit). */
#ifndef EDGE_LSTM_CMSDK_UART_H
#define EDGE_LSTM_CMSDK_UART_H

#include <stdint.h>

typedef struct {
    volatile uint32_t data;
    volatile uint32_t state; /* bit 0: transmit buffer full, bit 1: receive buffer full */
    volatile uint32_t control; /* bit 0: transmit, bit 1: receive */
    volatile uint32_t interrupts;
    volatile uint32_t baud_divisor;
} cmsdk_uart;

#define CMSDK_UART_TX_FULL 1u
#define CMSDK_UART_RX_FULL 2u

static inline void cmsdk_uart_init(cmsdk_uart *uart, uint32_t clock, uint32_t baud)
{
    uart->baud_divisor = clock / baud;
    uart->control = 3u;
}

static inline uint8_t cmsdk_uart_getc(cmsdk_uart *uart)
{
    while ((uart->state & CMSDK_UART_RX_FULL) == 0u) {
    }
    return (uint8_t)(uart->data & 0xffu);
}

static inline void cmsdk_uart_putc(cmsdk_uart *uart, uint8_t byte)
{
    while ((uart->state & CMSDK_UART_TX_FULL) != 0u) {
    }
    uart->data = byte;
}

#endif
