/* UART0 of the board, 115200 baud, polled. */
#include "cmsdk_uart.h"
#include "edge_lstm_port.h"

#define UART ((cmsdk_uart *)0x59303000u)

void edge_lstm_port_init(void)
{
    cmsdk_uart_init(UART, 25000000u, 115200u);
}

uint8_t edge_lstm_port_getc(void)
{
    return cmsdk_uart_getc(UART);
}

void edge_lstm_port_putc(uint8_t byte)
{
    cmsdk_uart_putc(UART, byte);
}
