#include "client/zipf.h"

#include "base/check.h"

#include <math.h>

/* (e^x - 1) / x, also where x is almost 0. */
static double expm1_over(double x)
{
    return fabs(x) > 1e-8 ? expm1(x) / x : 1 + x / 2;
}

/* ln(1 + x) / x, also where x is almost 0. */
static double log1p_over(double x)
{
    return fabs(x) > 1e-8 ? log1p(x) / x : 1 - x / 2;
}

static double height(const struct zipf *zipf, double x)
{
    return exp(-zipf->exponent * log(x));
}

/* The integral of x^-exponent; ln(x) where the exponent is 1. */
static double integral(const struct zipf *zipf, double x)
{
    const double log_x = log(x);
    return expm1_over((1 - zipf->exponent) * log_x) * log_x;
}

static double integral_inverse(const struct zipf *zipf, double x)
{
    double t = x * (1 - zipf->exponent);
    if (t < -1) {
        t = -1; /* beyond the range by rounding only */
    }
    return exp(log1p_over(t) * x);
}

void zipf_init(struct zipf *zipf, uint32_t count, double exponent)
{
    assert(count >= 1 && exponent >= 0);
    *zipf = (struct zipf){.exponent = exponent, .count = count};
    zipf->integral_first = integral(zipf, 1.5) - 1;
    zipf->integral_last = integral(zipf, zipf->count + 0.5);
    zipf->sure = 2 - integral_inverse(zipf, integral(zipf, 2.5) - height(zipf, 2));
}

uint32_t zipf_draw(const struct zipf *zipf, uint64_t (*next)(void *data), void *data)
{
    assert(zipf->count >= 1);
    for (;;) {
        const double unit = (double)(next(data) >> 11) * 0x1p-53;
        const double u = zipf->integral_last + unit * (zipf->integral_first - zipf->integral_last);
        const double x = integral_inverse(zipf, u);
        double rank = floor(x + 0.5);
        rank = rank < 1 ? 1 : rank;
        rank = rank > zipf->count ? zipf->count : rank;
        if (rank - x <= zipf->sure || u >= integral(zipf, rank + 0.5) - height(zipf, rank)) {
            return (uint32_t)rank;
        }
    }
}
