/* The device's side of the link: takes commands, runs the model, answers. */
#ifndef EDGE_LSTM_APP_H
#define EDGE_LSTM_APP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Call it once, after edge_lstm_port_init. */
void edge_lstm_app_init(void);

/* Call it with each byte from the host. Answers through edge_lstm_port_putc, never unasked. */
void edge_lstm_app_receive(uint8_t byte);

#ifdef __cplusplus
}
#endif

#endif
