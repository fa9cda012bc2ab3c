/* A firmware that does nothing but answer the host. An application calls
   edge_lstm_app_receive from its own loop, or the model's functions and no link at all. */
#include "edge_lstm_app.h"
#include "edge_lstm_port.h"

int main(void)
{
    edge_lstm_port_init();
    edge_lstm_app_init();
    for (;;) {
        edge_lstm_app_receive(edge_lstm_port_getc());
    }
}
