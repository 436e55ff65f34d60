/* One row, for the C of the CPU and for CUDA: what is looked up becomes gradient and Hessian. tables.py says what the
 * tables hold; no formula of a loss is here.
 *
 * Everything is float. Nothing assumes that numbers are finite.
 */
#ifndef KERNEL_H
#define KERNEL_H

#ifdef __CUDACC__
#define FUNCTION static __device__ __forceinline__
#ifndef INFINITY /* NVRTC has no headers */
#define INFINITY __int_as_float(0x7f800000)
#endif
#else
#include <math.h>
#include <stdint.h>
#include <string.h>
#define FUNCTION static inline __attribute__((always_inline))
#endif
#define ABS fabsf

#define LIMIT 87.0f /* exp(x) and exp(-x) are both normal numbers for |x| up to here */
#define MOST_SCORE 1e30f /* larger scores are taken for this: their differences are finite */

#define MOST_LOG_MASS 80.0f /* of the first class over the others: products with it are finite, and it is certain */

/* Written as the instructions work, NaN and all: fmax and fmin are not. */
#define MAX(a, b) ((b) < (a) ? (a) : (b))
#define MIN(a, b) ((a) < (b) ? (a) : (b))

/* exp and log, which a compiler vectorises, to 1 or 2 units in the last place */
#ifdef __CUDACC__
FUNCTION float exp_of(float x) { return expf(x); }
FUNCTION float log_of(float y) { return logf(y); }
#else
#define HORNER(x, a, b, c, d, e) (a + x * (b + x * (c + x * (d + x * (e)))))
/* LN2_HIGH has so few bits that its product with an exponent is exact. */
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f
/* Adding it rounds to a whole number, which the last bits of the sum then hold. */
#define ROUNDER 12582912.0f

FUNCTION uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

FUNCTION float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* exp(x) for |x| <= LIMIT; the polynomial is the Chebyshev fit of (exp(r) - 1 - r) / r² for |r| <= log(2) / 2 */
FUNCTION float exp_of(float x) {
    float shifted = x * 1.44269504f + ROUNDER, k = shifted - ROUNDER;
    float r = (x - k * LN2_HIGH) - k * LN2_LOW;
    float y = 1 + (r + r * r * HORNER(r, 0.5f, 0.166665763f, 0.0416665524f, 0.00836323295f, 0.00139262504f));
    return float_of(bits_of(y) + (bits_of(shifted) << 23));
}

/* log(y) for a normal y > 0; the polynomial is the Chebyshev fit of (2 atanh(s) - 2 s) / s³ in s² for s <= 1/3 */
FUNCTION float log_of(float y) {
    uint32_t biased = (bits_of(y) + ((127u << 23) - 0x3f3504f3u)) >> 23; /* 0x3f3504f3: sqrt(1/2) */
    float f = float_of(bits_of(y) - ((biased - 127) << 23)) - 1;         /* in [sqrt(1/2), sqrt(2)) - 1 */
    float k = float_of(biased | bits_of(8388608.0f)) - (8388608.0f + 127), s = f / (2 + f), z = s * s;
    float log1p = f - s * (f - z * HORNER(z, 0.666666687f, 0.399997056f, 0.28592357f, 0.217065752f, 0.232243299f));
    return k * LN2_HIGH + (log1p + k * LN2_LOW);
}
#endif

/* exp(x), 0 below -LIMIT and the exp of LIMIT above it */
FUNCTION float exp_within(float x) { return x < -LIMIT ? 0 : exp_of(MIN(MAX(x, -LIMIT), LIMIT)); }

/* Functions on n_steps equal steps from `first` steps on: in each a cubic of 0 to 1, four numbers a function. */
typedef struct {
    float first, n_steps, per_unit;
    const float *cubics;
} Table;

typedef struct {
    int step;
    float part; /* of the step, 0 to 1 */
} Place;

FUNCTION float whole_below(float x) {
#ifdef __CUDACC__
    return floorf(x);
#else
    return (x - 0.5f + ROUNDER) - ROUNDER; /* or, at a whole number, that less 1: the end of its step is as good */
#endif
}

/* Beyond its ends a table is constant. Steps end at whole multiples of a power of two, so that no digit of x is lost. */
FUNCTION Place place_of(float x, Table table) {
    Place place;
    float inside = MIN(MAX(x * table.per_unit, table.first), table.first + table.n_steps);
    float whole = MAX(MIN(whole_below(inside), table.first + table.n_steps - 1), table.first);
    place.step = (int)(whole - table.first);
    place.part = inside - whole;
    return place;
}

typedef struct {
    float value, slope, curvature; /* in the argument of the table */
} Point;

FUNCTION Point cubic_at(const float *c, float u, float per_unit) {
    Point at = {c[0] + u * (c[1] + u * (c[2] + u * c[3])), (c[1] + u * (2 * c[2] + 3 * u * c[3])) * per_unit,
                (2 * c[2] + 6 * u * c[3]) * per_unit * per_unit};
    return at;
}

typedef struct {
    float gradient, hessian;
} Derivatives;

/* Two classes, at the log-odds f of label 1: gradient = w (η - y), hessian = w η (1-η) + w' (η - y). Neither η nor
 * 1 - η is formed as 1 minus the other. */
FUNCTION Derivatives of_two_classes(float f, int label, Point w, float factor, float floor, float weight) {
    float sign = label ? 1.0f : -1.0f, t = exp_of(-MIN(ABS(f), LIMIT)), large = 1 / (1 + t), small = t * large;
    float p = sign * f > 0 ? large : small, q = sign * f > 0 ? small : large; /* of the true class, and of the other */
    float g = w.value * q, h = factor * q * (w.value * p - sign * w.slope);
    Derivatives d = {-sign * g * weight, MAX(h, floor * g) * weight};
    return d;
}

/* A difference and its rounding error, exactly: exp(60) would turn the error into one of 2e-6. */
typedef struct {
    float high, low;
} Exact;

FUNCTION Exact sum_of(float a, float b) {
    Exact sum;
    float b_of_sum;
    sum.high = a + b;
    b_of_sum = sum.high - a;
    sum.low = (a - (sum.high - b_of_sum)) + (b - b_of_sum);
    return sum;
}

FUNCTION Exact difference(Exact a, Exact b) {
    Exact of_high = sum_of(a.high, -b.high);
    of_high.low += a.low - b.low;
    return of_high;
}

/* The rounding error of a number beyond LIMIT, where the exponential is held, can be of any size. */
FUNCTION float exp_of_exact(Exact x) { return exp_within(x.high) * (1 + MIN(MAX(x.low, -1e-3f), 1e-3f)); }

/* Many classes. What the tables of a loss come with, see tables.py. */
typedef struct {
    float rate, term_slope, share_slope;
    float most; /* the largest V: a search begins where no other class has more than a half */
} Limits;

/* Sums over the classes other than the first, in units of exp(top), the largest of their exp(y) */
typedef struct {
    float v, slope, curvature; /* of V exp(y) */
} Search;

FUNCTION float x_to_start(float top, float total, Limits of) { return -(top + log_of(total * of.most)); }

/* T of the first class at x */
FUNCTION Point term_at(Point found, float x, Limits of) {
    found.value += of.term_slope * x;
    found.slope += of.term_slope;
    return found;
}

/* The step of Halley's method to where log Σ V exp(y) + x = 0 */
FUNCTION float step_of_x(float x, float top, Search s, Point term) {
    float mean = s.slope / s.v, gap = log_of(s.v) + top + x, slope = 1 + term.slope * mean;
    float curvature = term.curvature * mean + term.slope * term.slope * (s.curvature / s.v - mean * mean);
    float step = -gap / slope;
    return step / MAX(1 + step * curvature / (2 * slope), 0.5f);
}

enum { MOST_STEPS = 64 };

/* What is left after a step is a hundredth of its cube. */
FUNCTION int is_long(float step, float x) { return ABS(step) > 0.01f + 1e-6f * ABS(x); }

/* u, the slope of log B = T + log W in t, of another class than the first */
FUNCTION float u_of_other(Point w, float per_rate) { return (1 + w.slope / w.value) * per_rate; }

/* The first class, where exp(-x) is v exp(top), v = Σ V exp(y - top) */
typedef struct {
    float mass, a, u; /* B in units of exp(T + top), and A / (α exp((1 - a) T)), which is W of the others */
} First;

FUNCTION First first_class(float e, float u, float v, Exact top, Limits of) {
    const int has_limit = of.share_slope == 0;
    First first;
    float mass = has_limit ? e * v : e, other;
    if (!has_limit) top.high = MIN(-top.high, MOST_LOG_MASS), top.low = -top.low;
    other = mass * exp_of_exact(top);
    first.mass = has_limit ? mass : other;
    first.a = has_limit ? other : mass;
    first.u = u;
    return first;
}

/* Sums of B and of B u over all other classes, and 1 / Σ B */
typedef struct {
    float others, moment, per_total;
} Masses;

/* Gradient and Hessian over A of the true class, of a class of mass B: π_j - δ_tj, and the exact Hessian in the form
 * that loses nothing for π_j near 1. No other class has much more mass than the first. */
FUNCTION Derivatives of_class(float mass, float u, int is_first, int is_true, float u_true, Masses m, First first) {
    const float b = is_first ? first.mass : mass, of_b = is_first ? first.u : u, share = b * m.per_total;
    const float rest = (is_first ? m.others : m.others + (first.mass - b)) * m.per_total;
    const float moment = (is_first ? m.moment : m.moment + (first.mass * first.u - b * of_b)) * m.per_total;
    const float off = is_true ? -rest : share;
    Derivatives d = {off, (1 - u_true) * off * off + share * (of_b * rest * rest + share * moment)};
    return d;
}

#endif
