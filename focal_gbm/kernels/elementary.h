/* exp and logarithms in plain C that a compiler vectorises, to 1 or 2 units in the last place; on CUDA its own.
 *
 * REAL is double with -DDOUBLE, else float. Nothing here assumes that numbers are finite.
 */
#ifndef ELEMENTARY_H
#define ELEMENTARY_H

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

#ifdef DOUBLE
typedef double REAL;
#define LIMIT 708.0 /* exp(x) and exp(-x) are both normal numbers for |x| up to here */
#define ABS fabs
#else
typedef float REAL;
#define LIMIT 87.0f
#define ABS fabsf
#endif
#define R(number) ((REAL)(number)) /* a constant of the type: nothing becomes double by accident */
/* Written as the instructions work, NaN and all: fmax and fmin are not. */
#define MAX(a, b) ((b) < (a) ? (a) : (b))
#define MIN(a, b) ((a) < (b) ? (a) : (b))

#define HORNER_4(x, a, b, c, d, e) (a + x * (b + x * (c + x * (d + x * (e)))))
#define HORNER_9(x, a, b, c, d, e, f, g, h, i, j) \
    HORNER_4(x, a, b, c, d, (e + x * HORNER_4(x, f, g, h, i, j)))

/* The Chebyshev fit of (2 atanh(s) - 2 s) / s³ in s² for s <= 1/3. */
#ifdef DOUBLE
#define ATANH_POLYNOMIAL(z)                                                                           \
    HORNER_9(z, 0.66666666666666663, 0.40000000000014585, 0.28571428567108759, 0.22222222717427864,   \
             0.18181789436132859, 0.15385570064958623, 0.13314144209654935, 0.12001072809590713,      \
             0.088007384861446741, 0.16164045611943531)
#else
#define ATANH_POLYNOMIAL(z) \
    HORNER_4(z, 0.666666687f, 0.399997056f, 0.28592357f, 0.217065752f, 0.232243299f)
#endif

/* log(1 + f) for sqrt(1/2) - 1 <= f <= 1, as f - s (f - ...): f is exact, s = f / (2 + f) is not */
FUNCTION REAL log1p_of(REAL f) {
    REAL s = f / (R(2) + f), z = s * s;
    return f - s * (f - z * ATANH_POLYNOMIAL(z));
}

/* log(1 + t) - t / (1 + t) for 0 <= t <= 1 and q = 1 / (1 + t): t²/2 for small t */
FUNCTION REAL log1p_excess(REAL t, REAL q) {
    REAL s = t / (R(2) + t), z = s * s;
    return s * (t * q + z * ATANH_POLYNOMIAL(z));
}

#ifdef __CUDACC__ /* float */

FUNCTION REAL exp_of_sum(REAL x, REAL low) { return expf(x) * (1.0f + low); }
FUNCTION REAL log_of(REAL y) { return logf(y); }
FUNCTION REAL rounding_of_product(REAL a, REAL b, REAL product) { return fmaf(a, b, -product); }

#else


/* LN2_HIGH has so few bits that its product with an exponent is exact. The polynomial is the Chebyshev fit of
 * (exp(r) - 1 - r) / r² for |r| <= log(2) / 2. */
#ifdef DOUBLE
typedef uint64_t BITS;
#define MANTISSA 52
#define BIAS 1023
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10
#define BITS_OF_ROOT_HALF 0x3fe6a09e667f3bcdULL
#define EXP_POLYNOMIAL(r)                                                                               \
    HORNER_9(r, 0.50000000000000011, 0.16666666666666669, 0.041666666666623824, 0.008333333333330039,   \
             0.0013888888917367081, 0.00019841269863171557, 2.4801521057868204e-5, 2.7557268276905696e-6, \
             2.7620201591031547e-7, 2.5100472505694996e-8)
#else
typedef uint32_t BITS;
#define MANTISSA 23
#define BIAS 127
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f
#define BITS_OF_ROOT_HALF 0x3f3504f3u
#define EXP_POLYNOMIAL(r) HORNER_4(r, 0.5f, 0.166665763f, 0.0416665524f, 0.00836323295f, 0.00139262504f)
#endif
/* Adding it rounds to a whole number, which the last bits of the sum then hold. */
#define ROUNDER R(3 * ((BITS)1 << (MANTISSA - 1)))

FUNCTION BITS bits_of(REAL x) {
    BITS bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

FUNCTION REAL real_of(BITS bits) {
    REAL x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* x to the nearest whole number, for |x| < 2^(MANTISSA - 2) */
FUNCTION REAL rounded(REAL x) { return (x + ROUNDER) - ROUNDER; }

/* exp(x + low) for |x| <= LIMIT and a low of a few roundings of x */
FUNCTION REAL exp_of_sum(REAL x, REAL low) {
    REAL shifted = x * R(1.44269504088896340736) + ROUNDER, k = shifted - ROUNDER;
    REAL r = ((x - k * LN2_HIGH) - k * LN2_LOW) + low;
    REAL y = R(1) + (r + r * r * EXP_POLYNOMIAL(r));
    return real_of(bits_of(y) + (bits_of(shifted) << MANTISSA));
}

/* log(y) for a normal y > 0 */
FUNCTION REAL log_of(REAL y) {
    BITS biased = (bits_of(y) + (((BITS)BIAS << MANTISSA) - BITS_OF_ROOT_HALF)) >> MANTISSA;
    REAL fraction = real_of(bits_of(y) - ((biased - BIAS) << MANTISSA)); /* in [sqrt(1/2), sqrt(2)) */
    REAL k = real_of(biased | bits_of(R((BITS)1 << MANTISSA))) - R(((BITS)1 << MANTISSA) + BIAS);
    return k * LN2_HIGH + (log1p_of(fraction - R(1)) + k * LN2_LOW);
}

/* a b - product, exactly, where product is a b rounded */
FUNCTION REAL rounding_of_product(REAL a, REAL b, REAL product) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#ifdef DOUBLE
    return __builtin_fma(a, b, -product);
#else
    return __builtin_fmaf(a, b, -product);
#endif
#else /* Dekker: halves of so few bits that their products are exact */
    const REAL splitter = R(((BITS)1 << ((MANTISSA + 2) / 2)) + 1);
    REAL a_up = a * splitter, b_up = b * splitter;
    REAL a_high = a_up - (a_up - a), b_high = b_up - (b_up - b), a_low = a - a_high, b_low = b - b_high;
    return ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
#endif
}

#endif /* not CUDA */

/* exp(x) for x <= LIMIT, 0 below -LIMIT */
FUNCTION REAL exp_or_zero(REAL x) { return x < -LIMIT ? R(0) : exp_of_sum(MAX(x, -LIMIT), R(0)); }

#endif
