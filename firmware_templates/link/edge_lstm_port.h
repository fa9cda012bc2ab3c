/* What the link asks of a board. A board's port.c defines these functions. */
#ifndef EDGE_LSTM_PORT_H
#define EDGE_LSTM_PORT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes; 0 where the board cannot tell. */
typedef struct {
    uint32_t flash_used;
    uint32_t static_ram; /* .data and .bss */
    uint32_t stack_room;
    uint32_t stack_used; /* the most since the start */
} edge_lstm_memory;

/* Clocks, the serial line, the counter behind edge_lstm_port_ticks. */
void edge_lstm_port_init(void);

/* Waits for a byte from the host. A byte that comes while the model runs may be lost: the host
   sends one small frame and waits for the answer. */
uint8_t edge_lstm_port_getc(void);

/* Waits until the line takes a byte. */
void edge_lstm_port_putc(uint8_t byte);

/* A counter that wraps at 2^32, the core's cycles where it counts them. */
uint32_t edge_lstm_port_ticks(void);

/* 0 where there is no such counter. */
uint32_t edge_lstm_port_ticks_per_second(void);

void edge_lstm_port_memory(edge_lstm_memory *memory);

#ifdef __cplusplus
}
#endif

#endif
