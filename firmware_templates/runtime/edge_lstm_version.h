/* The version of edge-lstm. It is written here and nowhere else: the Python
   packages read it from this file, and generated code is checked against it. */
#ifndef EDGE_LSTM_VERSION_H
#define EDGE_LSTM_VERSION_H

#define EDGE_LSTM_VERSION_MAJOR 0
#define EDGE_LSTM_VERSION_MINOR 1
#define EDGE_LSTM_VERSION_PATCH 0

/* One integer for comparisons in the preprocessor: 10203 is version 1.2.3. */
#define EDGE_LSTM_VERSION \
    (EDGE_LSTM_VERSION_MAJOR * 10000 + EDGE_LSTM_VERSION_MINOR * 100 + EDGE_LSTM_VERSION_PATCH)

#endif
