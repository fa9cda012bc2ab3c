/* A model that counts its calls and answers with its input, for the fuzz target. */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include <stdint.h>

#define FUZZ_INPUT_SIZE 70
#define FUZZ_INPUT_SCALE 0.5f
#define FUZZ_INPUT_ZERO_POINT (-3)
#define FUZZ_OUTPUT_SCALE 2.0f
#define FUZZ_OUTPUT_ZERO_POINT 4

typedef int8_t fuzz_value;

typedef struct {
    uint32_t steps;
} fuzz_state;

void fuzz_reset(fuzz_state *state);
void fuzz_step(fuzz_state *state, const fuzz_value *input, fuzz_value *output);

#endif
