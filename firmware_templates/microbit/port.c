/* nRF51822 of the BBC micro:bit v1: its UART on the pins of the USB interface, 115200 baud,
   polled. */
#include "edge_lstm_port.h"

#define REGISTER(offset) (*(volatile uint32_t *)(0x40002000u + (offset)))
#define TASKS_STARTRX REGISTER(0x000u)
#define TASKS_STARTTX REGISTER(0x008u)
#define EVENTS_RXDRDY REGISTER(0x108u)
#define EVENTS_TXDRDY REGISTER(0x11cu)
#define ENABLE REGISTER(0x500u)
#define PSELTXD REGISTER(0x50cu)
#define PSELRXD REGISTER(0x514u)
#define RXD REGISTER(0x518u)
#define TXD REGISTER(0x51cu)
#define BAUDRATE REGISTER(0x524u)
#define GPIO_OUTSET (*(volatile uint32_t *)0x50000508u)
#define GPIO_DIRSET (*(volatile uint32_t *)0x50000518u)

enum { PIN_TX = 24, PIN_RX = 25, UART_ON = 4 };

void edge_lstm_port_init(void)
{
    GPIO_OUTSET = UINT32_C(1) << PIN_TX; /* an idle line is high */
    GPIO_DIRSET = UINT32_C(1) << PIN_TX;
    PSELTXD = PIN_TX;
    PSELRXD = PIN_RX;
    BAUDRATE = UINT32_C(0x01d7e000); /* 115200 */
    ENABLE = UART_ON;
    TASKS_STARTRX = 1;
    TASKS_STARTTX = 1;
}

uint8_t edge_lstm_port_getc(void)
{
    while (EVENTS_RXDRDY == 0) {
    }
    EVENTS_RXDRDY = 0;
    return (uint8_t)(RXD & 0xffu);
}

void edge_lstm_port_putc(uint8_t byte)
{
    EVENTS_TXDRDY = 0;
    TXD = byte;
    while (EVENTS_TXDRDY == 0) {
    }
}
