/* STM32F405: USART1 on PA9 (out) and PA10 (in), 115200 baud, polled; the core stays on its
   16 MHz oscillator. */
#include "edge_lstm_port.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define RCC_AHB1ENR REGISTER(0x40023830u)
#define RCC_APB2ENR REGISTER(0x40023844u)
#define GPIOA_MODER REGISTER(0x40020000u)
#define GPIOA_AFRH REGISTER(0x40020024u)
#define USART1_SR REGISTER(0x40011000u)
#define USART1_DR REGISTER(0x40011004u)
#define USART1_BRR REGISTER(0x40011008u)
#define USART1_CR1 REGISTER(0x4001100cu)

#define SR_RXNE (1u << 5)
#define SR_TXE (1u << 7)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define CR1_UE (1u << 13)

void edge_lstm_port_init(void)
{
    RCC_AHB1ENR |= 1u;
    RCC_APB2ENR |= 1u << 4;
    (void)RCC_APB2ENR; /* the clock runs two cycles after the write */
    GPIOA_MODER = (GPIOA_MODER & ~(0xfu << 18)) | (0xau << 18); /* pins 9, 10: alternate */
    GPIOA_AFRH = (GPIOA_AFRH & ~(0xffu << 4)) | (0x77u << 4);   /* function 7: USART1 */
    USART1_BRR = EDGE_LSTM_CORE_HZ / 115200u;
    USART1_CR1 = CR1_UE | CR1_TE | CR1_RE;
}

uint8_t edge_lstm_port_getc(void)
{
    while ((USART1_SR & SR_RXNE) == 0u) {
    }
    return (uint8_t)(USART1_DR & 0xffu);
}

void edge_lstm_port_putc(uint8_t byte)
{
    while ((USART1_SR & SR_TXE) == 0u) {
    }
    USART1_DR = byte;
}
