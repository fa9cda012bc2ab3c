/* All of <string.h> that the model and the link use; the compiler's package has no libc. */
#ifndef EDGE_LSTM_LIBC_STRING_H
#define EDGE_LSTM_LIBC_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memset(void *to, int value, size_t count);

#endif
