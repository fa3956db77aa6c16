/*
 * Zipf's law: rank k of 1..n is drawn with a probability in proportion to 1 / k^exponent. Exact,
 * without a table, by rejection-inversion (W. Hoermann, G. Derflinger, "Rejection-inversion to
 * generate variates from monotone discrete distributions", ACM TOMACS 6(3), 1996).
 */
#ifndef CLIENT_ZIPF_H
#define CLIENT_ZIPF_H

#include <stdint.h>

struct zipf {
    double exponent;
    double count;
    double integral_first; /* of the hat, up to 1.5, less the height at 1 */
    double integral_last;  /* up to count + 0.5 */
    double sure;           /* so close to its rank a draw needs no comparison */
};

/* exponent: 0 (all the same) and up; count: at least 1. */
void zipf_init(struct zipf *zipf, uint32_t count, double exponent);

/*
 * A rank from 1 to count. next: gives 64 random bits; it is asked again where a draw is rejected,
 * less than once in five draws.
 */
uint32_t zipf_draw(const struct zipf *zipf, uint64_t (*next)(void *data), void *data);

#endif
