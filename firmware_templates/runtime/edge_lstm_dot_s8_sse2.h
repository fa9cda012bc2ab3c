/* The dot products of edge_lstm_dot_s8.h for x86-64, whose baseline is SSE2. */
#ifndef EDGE_LSTM_DOT_S8_SSE2_H
#define EDGE_LSTM_DOT_S8_SSE2_H

#include <emmintrin.h>

/* sum[r] = bias[r] + row r of the weights . activations */
static inline void edge_lstm_dot_s8(const int8_t *weights, const edge_lstm_pair *activations,
                                    int32_t blocks, const int32_t *bias,
                                    int32_t sum[EDGE_LSTM_ROWS])
{
    __m128i rows01 = _mm_setzero_si128(); /* two partial sums a row */
    __m128i rows23 = _mm_setzero_si128();
    for (int32_t block = 0; block < blocks; ++block) {
        const __m128i x = _mm_loadl_epi64((const __m128i *)(const void *)activations);
        const __m128i ordered = _mm_shufflelo_epi16(x, _MM_SHUFFLE(3, 1, 2, 0));
        const __m128i both = _mm_unpacklo_epi64(ordered, ordered);
        const __m128i w = _mm_loadu_si128((const __m128i *)(const void *)weights);
        const __m128i w01 = _mm_srai_epi16(_mm_unpacklo_epi8(w, w), 8);
        const __m128i w23 = _mm_srai_epi16(_mm_unpackhi_epi8(w, w), 8);
        rows01 = _mm_add_epi32(rows01, _mm_madd_epi16(w01, both));
        rows23 = _mm_add_epi32(rows23, _mm_madd_epi16(w23, both));
        activations += 2;
        weights += EDGE_LSTM_BLOCK;
    }
    {
        const __m128 low = _mm_castsi128_ps(rows01);
        const __m128 high = _mm_castsi128_ps(rows23);
        const __m128i even = _mm_castps_si128(_mm_shuffle_ps(low, high, _MM_SHUFFLE(2, 0, 2, 0)));
        const __m128i odd = _mm_castps_si128(_mm_shuffle_ps(low, high, _MM_SHUFFLE(3, 1, 3, 1)));
        const __m128i start = _mm_loadu_si128((const __m128i *)(const void *)bias);
        const __m128i total = _mm_add_epi32(start, _mm_add_epi32(even, odd));
        _mm_storeu_si128((__m128i *)(void *)sum, total);
    }
}

#endif
