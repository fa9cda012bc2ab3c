#include <stdint.h>
#include <string.h>

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    uint8_t *target = to;
    const uint8_t *source = from;
    for (size_t k = 0; k < count; ++k) {
        target[k] = source[k];
    }
    return to;
}

void *memset(void *to, int value, size_t count)
{
    uint8_t *target = to;
    for (size_t k = 0; k < count; ++k) {
        target[k] = (uint8_t)value;
    }
    return to;
}
