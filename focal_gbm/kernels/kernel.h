/* The focal losses of one row: the formulas, once, for the C of the CPU and for CUDA.
 *
 * Focal loss of a margin m, with p = σ(m), q = σ(-m), ℓ = -log p = softplus(-m) and -log q = softplus(m):
 *
 *     loss = q^γ ℓ                                            times α and the row's weight, as all below
 *     g    = q^γ (q + γ p ℓ)                                  minus the first derivative
 *     h    = q^γ [ (1+2γ) p q + (γ p - q) γ p ℓ ]             the second derivative
 *
 * Neither p nor q is formed as 1 minus the other. Beyond |m| = LIMIT they stay at the smallest normal number, so
 * that no quotient of them is 0/0; they have long underflowed against what they are added to.
 */
#ifndef KERNEL_H
#define KERNEL_H
#include "elementary.h"

enum { EXACT, FLOORED, MAJORIZING };

/* "floored" is max(exact, FLOOR min(γ, 1) |gradient|): a leaf of rows with a negative Hessian then takes a step
 * of at most 1/FLOOR. Anything from 0.05 to 0.1 trained alike. */
#define FLOOR R(0.05)

/* What the rows of one class share; weight is α times the scale of the objective. */
typedef struct {
    REAL gamma, weight;
} Class;

typedef struct {
    REAL p, q;         /* σ(m), σ(-m) */
    REAL below, above; /* max(-m, 0), max(m, 0), both <= LIMIT */
    REAL tail;         /* log1p(exp(-|m|)): softplus is one of these and the tail */
} Margin;

FUNCTION Margin margin_of(REAL m) {
    Margin at;
    REAL size = MIN(ABS(m), LIMIT), t = exp_of_sum(-size, R(0));
    REAL large = R(1) / (R(1) + t), small = t * large;
    int right = m > 0;
    at.p = right ? large : small;
    at.q = right ? small : large;
    at.above = right ? size : R(0);
    at.below = size - at.above;
    at.tail = log1p_of(t);
    return at;
}

/* q^γ = exp(-γ softplus(m)); the exponent in two parts, as its rounding would be the error of the power */
FUNCTION REAL power_of_q(Margin at, REAL gamma) {
    REAL high = gamma * at.above;
    REAL low = rounding_of_product(gamma, at.above, high) + gamma * at.tail, sum = high + low;
    REAL power = exp_of_sum(-sum, (sum - high) - low); /* of no meaning for large sums */
    return LIMIT < sum ? R(0) : power;
}

/* ℓ is linear in m beyond LIMIT */
FUNCTION REAL focal_loss(REAL m, Class of, REAL weight) {
    Margin at = margin_of(m);
    return power_of_q(at, of.gamma) * (of.weight * weight) * (at.tail + MAX(at.below, -m));
}

typedef struct {
    REAL q, g, h, floor;
} Derivatives;

/* `whole` is γ where it is a small whole number of all classes and known to the compiler, else ANY_GAMMA. */
enum { ANY_GAMMA = -1, MOST_WHOLE = 2 };

FUNCTION REAL power_of_q_by(Margin at, REAL gamma, int whole) {
    return whole == 0 ? R(1) : whole == 1 ? at.q : whole == 2 ? at.q * at.q : power_of_q(at, gamma);
}

FUNCTION Derivatives derivatives_in_margin(Margin at, Class of, REAL weight, int hessian, int whole) {
    Derivatives d;
    const REAL gamma = whole == ANY_GAMMA ? of.gamma : R(whole);
    REAL focal = gamma * (at.p * (at.below + at.tail)); /* γ p ℓ */
    REAL scale = power_of_q_by(at, gamma, whole) * (of.weight * weight);
    d.q = at.q;
    d.g = scale * (whole == 0 ? at.q : at.q + focal);
    if (whole == 0) { /* what is 0 times the rest is not left to the compiler */
        d.h = at.p * d.g;
        d.floor = 0;
        return d;
    }
    d.h = at.p * ((R(1) + R(2) * gamma) * at.q + gamma * focal);
    if (hessian != MAJORIZING) d.h -= at.q * focal; /* its one negative term */
    d.h *= scale;
    d.floor = FLOOR * MIN(gamma, R(1)) * d.g;
    return d;
}

/* Softmax. The classes other than the true class t have u_j = exp(z_j - top), top the largest z_j among them;
 * total is the sum of the u_j, rest = total - 1 summed without the largest. Their shares are s_j = u_j / total,
 * the margin of t is z_t - top - log(total), and for j ≠ t
 *
 *     gradient_j = g s_j,    hessian_jj = s_j [ h + (g - h) (1 - s_j) ]        (h_majorizing + g q (1 - s_j))
 */
FUNCTION REAL slope_of_others(Derivatives d, int hessian) { return hessian == MAJORIZING ? d.g * d.q : d.g - d.h; }

/* hessian_jj / s_j; h and slope carry the library's factor, slope is divided by total */
FUNCTION REAL hessian_of_other(REAL u, REAL rest, REAL h, REAL slope) { return h + slope * (rest + (R(1) - u)); }

#endif
