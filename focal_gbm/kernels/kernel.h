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

enum { EXACT, FLOORED, MAJORIZING, EXPECTED };

/* What the rows of one class share. `weight` is α times the scale of the objective, `log_weight` its logarithm.
 * "floored" is max(Hessian, floor |gradient|): a leaf of rows with a negative Hessian then takes a step of at most
 * 1/floor. It is a constant times min(γ, 1), as the log loss has nothing to floor. */
typedef struct {
    REAL gamma, weight, log_weight, floor;
} Class;

typedef struct {
    REAL p, q;         /* σ(m), σ(-m) */
    REAL below, above; /* max(-m, 0), max(m, 0), both <= LIMIT */
    REAL tail;         /* log1p(exp(-|m|)): softplus is one of these and the tail */
    REAL t, large;     /* exp(-|m|), 1 / (1 + exp(-|m|)) */
} Margin;

FUNCTION Margin margin_of(REAL m) {
    Margin at;
    REAL size = MIN(ABS(m), LIMIT);
    int right = m > 0;
    at.t = exp_of_sum(-size, R(0));
    at.large = R(1) / (R(1) + at.t);
    at.p = right ? at.large : at.t * at.large;
    at.q = right ? at.t * at.large : at.large;
    at.above = right ? size : R(0);
    at.below = size - at.above;
    at.tail = log1p_of(at.t);
    return at;
}

/* The same of -m */
FUNCTION Margin mirrored(Margin at) {
    Margin back = at;
    back.p = at.q, back.q = at.p, back.below = at.above, back.above = at.below;
    return back;
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
    d.floor = of.floor * d.g;
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

/* The links. Expected gradients are zero where log η_k = T(m_k) - log α_k + constant, with
 *
 *     T(m) = log p + γ softplus(m) - log1p(γ r),    r = p ℓ / q in (0, 1),
 *
 * whose slope (q + 2γp - γ(1-γ) p r) / (1 + γ r) is positive. For two classes the log-odds of class 1 are
 * T_1(z) - T_0(-z) + log(α_0 / α_1), increasing in z.
 */
typedef struct {
    REAL r, slope, curvature; /* of T, in the margin */
} Term;

FUNCTION Term term_of(Margin at, REAL gamma) {
    Term term;
    REAL odds = at.p / at.q; /* r - p = odds (ℓ - q) loses nothing */
    REAL excess = at.above > at.below ? log1p_excess(at.t, at.large) : at.below + at.tail - at.q;
    REAL slope_of_r = odds * excess, divisor, slope_of_dividend;
    term.r = odds * (at.below + at.tail);
    divisor = R(1) + gamma * term.r;
    term.slope = (at.q + gamma * at.p * (R(2) - (R(1) - gamma) * term.r)) / divisor;
    slope_of_dividend = at.p * (at.q * (R(2) * gamma - R(1)) -
                                gamma * (R(1) - gamma) * (at.q * term.r + slope_of_r));
    term.curvature = (slope_of_dividend - term.slope * gamma * slope_of_r) / divisor;
    return term;
}

typedef struct {
    REAL value, slope;
} Point;

/* The log-odds of a class against the other of two, at its margin m: linear in m beyond LIMIT */
FUNCTION Point log_odds(REAL m, Class own, Class other) {
    Point odds;
    Margin at = margin_of(m);
    Term term = term_of(at, own.gamma), back = term_of(mirrored(at), other.gamma);
    REAL ratio = (R(1) + other.gamma * back.r) / (R(1) + own.gamma * term.r);
    odds.value = (other.log_weight - own.log_weight) + m + own.gamma * MAX(m, R(0)) -
                 other.gamma * MAX(-m, R(0)) + (own.gamma - other.gamma) * at.tail + log_of(ratio);
    odds.slope = term.slope + back.slope;
    return odds;
}

FUNCTION REAL softplus(REAL x) {
    Margin at = margin_of(x);
    return MAX(x, R(0)) + at.tail;
}

/* The logit link, two classes: the raw prediction f is the log-odds, and z the score at which they are f. With the
 * g and h of both classes at z and the slope L' of the log-odds there,
 *
 *     w = (α_0 g_0 + α_1 g_1) / L',     gradient = w (η - y),     E[hessian] = w η (1 - η),    η = σ(f).
 */
typedef struct {
    REAL w, slope; /* in f */
} Attention;

FUNCTION Attention attention_at(REAL z, Class zero, Class one) {
    Attention a;
    Margin at = margin_of(z), back = mirrored(at);
    Term term = term_of(at, one.gamma), back_term = term_of(back, zero.gamma);
    Derivatives d = derivatives_in_margin(at, one, R(1), EXACT, ANY_GAMMA);
    Derivatives back_d = derivatives_in_margin(back, zero, R(1), EXACT, ANY_GAMMA);
    REAL slope = term.slope + back_term.slope;
    a.w = (back_d.g + d.g) / slope;
    a.slope = (back_d.h - d.h - a.w * (term.curvature - back_term.curvature)) / (slope * slope);
    return a;
}

/* Where Newton's steps towards the score start: beyond 0 the log-odds rise by 1 + γ of the likelier class */
FUNCTION REAL score_to_start(REAL f, Class zero, Class one) {
    REAL rest = f - log_odds(R(0), one, zero).value;
    return rest / (R(1) + (rest > 0 ? one.gamma : zero.gamma));
}

/* Steps longer than this go on; the error left is their square at most. No pair of γ up to 1e15 took MOST_STEPS. */
#ifdef DOUBLE
#define LONG_STEP 1e-8
#else
#define LONG_STEP 1e-4f
#endif
enum { MOST_STEPS = 64 };

FUNCTION REAL step_to_score(REAL z, REAL f, Class zero, Class one) {
    Point odds = log_odds(z, one, zero);
    return (f - odds.value) / odds.slope;
}

FUNCTION int is_long(REAL step, REAL x) { return ABS(step) > LONG_STEP * (R(1) + ABS(x)); }

/* g and h of the loss in f: of the margin ±f of the true class, with -1 the sign of class 0 */
FUNCTION Derivatives derivatives_in_logit(Margin at, REAL sign, Attention a, REAL weight, REAL floor, int hessian) {
    Derivatives d;
    REAL w = a.w * weight;
    d.q = at.q;
    d.g = w * at.q;
    d.floor = floor * d.g;
    d.h = hessian == EXPECTED ? d.g * at.p : at.q * (w * at.p - sign * a.slope * weight);
    return d;
}

/* The logit link, many classes: f_k = T(m_k) - log α_k + c with one unknown c a row, and Σ p_k = 1. With
 *
 *     B_k = p_k q_k / T'(m_k),    π_k = B_k / Σ B,    A_k = α_k g_k / T'(m_k),    Ā = Σ η_k A_k,    η = softmax(f),
 *     b_k = (q_k - p_k - T''/T') / T', the slope of log B_k in T, and t the true class:
 *
 *     gradient_j = A_t (π_j - δ_tj),    E[hessian]_jj = Ā π_j (1 - π_j),
 *     hessian_jj = A_t { (1 - b_t) (π_j - δ_tj)² + π_j [ b_j (1 - π_j)² + π_j Σ_{k≠j} π_k b_k ] }.
 *
 * One class, `first`, can have more than a half; all others have m <= 0. Newton's steps solve for all margins at
 * once, with log Σ p of the others = log(1 - p) of the first. Their p are in units of exp(scale), scale being
 * their largest margin: with scores far apart they underflow, and their shares do not.
 */
typedef struct {
    REAL p, q, rest, slope; /* rest is f + log α - f_first - log α_first - T(m), of which c is left */
} Reach;

FUNCTION Reach reach_of(REAL m, REAL y, REAL gamma) {
    Reach reach;
    Margin at = margin_of(m);
    Term term = term_of(at, gamma);
    reach.p = at.p, reach.q = at.q, reach.slope = term.slope;
    reach.rest = y + (MAX(-m, R(0)) + at.tail) - gamma * (MAX(m, R(0)) + at.tail) +
                 log_of(R(1) + gamma * term.r);
    return reach;
}

/* T(0): the class that reaches a half first has the largest f + log α - T(0). */
FUNCTION REAL term_at_a_half(REAL gamma) {
    return -reach_of(R(0), R(0), gamma).rest;
}

typedef struct {
    REAL mass, of_b, pull; /* sums over the other classes, of p, B and B rest */
} Others;

FUNCTION Others with_other(Others sums, Reach reach, REAL relative) { /* relative: exp(m - scale) */
    REAL p = relative * reach.q, b = p * reach.q / reach.slope;
    sums.mass += p, sums.of_b += b, sums.pull += b * reach.rest;
    return sums;
}

/* c, after division by p / T' of the first class, which γ = 0 and p near 1 would make huge */
FUNCTION REAL constant_of(Others sums, REAL scale, Reach first, REAL m_first) {
    REAL lever = first.slope / first.p, gap = log_of(sums.mass) + scale + softplus(m_first);
    return (lever * (gap + sums.pull / sums.mass) + first.rest) / (lever * (sums.of_b / sums.mass) + R(1));
}

/* p of the others as if T were log p: `odds` is the logarithm of Σ exp(y) over the others */
FUNCTION REAL first_margin_to_start(REAL log_odds_of_others, REAL gamma, REAL n_classes) {
    REAL start = -log_odds_of_others / (R(1) + gamma), least = -log_of(n_classes - R(1));
    return MAX(start, least);
}

/* log B of the first class: its p (1 - p) does not underflow in it, and with γ=0 B is p */
FUNCTION REAL log_mass_of_first(REAL m, REAL gamma) {
    REAL slope = term_of(margin_of(m), gamma).slope;
    return gamma > R(0) ? -softplus(m) - softplus(-m) - log_of(slope) : -softplus(-m);
}

typedef struct {
    REAL mass, a, b; /* B in units of exp(unit), A / α, and the slope of log B in T */
} Mass;

/* With γ=0 it is 1, of which the terms would leave nothing for p near 1. */
FUNCTION REAL slope_of_log_b(Margin at, Term term, REAL gamma) {
    REAL b = ((at.q - at.p) - term.curvature / term.slope) / term.slope;
    return gamma > R(0) ? b : R(1);
}

/* Of a class with m <= 0; the mass of the first is another. */
FUNCTION Mass mass_at(REAL m, REAL gamma, REAL unit) {
    Mass of;
    Margin at = margin_of(m);
    Term term = term_of(at, gamma);
    Class plain = {gamma, R(1), R(0), R(0)};
    of.mass = exp_or_zero(MIN(m - unit, R(0))) * at.q * at.q / term.slope;
    of.a = derivatives_in_margin(at, plain, R(1), EXACT, ANY_GAMMA).g / term.slope;
    of.b = slope_of_log_b(at, term, gamma);
    return of;
}

/* Sums of the masses, and of mass times b, with the largest mass kept apart: small ones beside it are not lost. */
typedef struct {
    REAL top, small, top_b, small_b;
} Masses;

FUNCTION Masses with_mass(Masses sums, Mass of) {
    REAL moment = of.mass * of.b;
    int is_larger = sums.top < of.mass;
    sums.small += is_larger ? sums.top : of.mass;
    sums.small_b += is_larger ? sums.top_b : moment;
    sums.top = is_larger ? of.mass : sums.top;
    sums.top_b = is_larger ? moment : sums.top_b;
    return sums;
}

typedef struct {
    REAL share, others, b_of_others; /* π_j, 1 - π_j, Σ π_k b_k over k ≠ j */
} Share;

FUNCTION Share share_of(Mass of, Masses sums) {
    REAL moment = of.mass * of.b, total = sums.top + sums.small;
    int is_top = of.mass == sums.top && moment == sums.top_b;
    Share s = {of.mass / total, (is_top ? sums.small : sums.small + (sums.top - of.mass)) / total,
               (is_top ? sums.small_b : sums.small_b + (sums.top_b - moment)) / total};
    return s;
}

/* hessian_jj / A_t, where off is π_j - δ_tj, in the form that loses nothing for π_j near 1 */
FUNCTION REAL exact_in_logit(Share s, REAL off, REAL b, REAL b_true) {
    return (R(1) - b_true) * off * off + s.share * (b * s.others * s.others + s.share * s.b_of_others);
}

/* With γ=0 in every class: p_j and 1 - p_j come of one softmax that does not know the true class, as in the
 * libraries, so that splits which tie exactly tie here as well. Above `certain` 1 - p is `others`, the sum of the other
 * classes, as the rounding of p would be felt; below, it is what the libraries have, to the last bit. */
FUNCTION REAL one_minus(REAL p, REAL others) {
    const REAL certain = R(0.99);
    return p > certain ? others : R(1) - p;
}

#endif
