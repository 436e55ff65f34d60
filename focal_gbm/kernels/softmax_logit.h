/* Many classes, where raw predictions are log-probabilities but for a constant: inverts the focal link by row. */
#ifndef SOFTMAX_LOGIT_H
#define SOFTMAX_LOGIT_H
#include "softmax.h"
#include "table.h"

/* Find the class that reaches a half first, and make all relative to it. */
static void choose_first(const Block *block, Scratch *s) {
    const Job *job = block->job;
    const int n = block->n;
    FOR_ROWS s->top[i] = -INFINITY;
    for (int k = 0; k < s->n_classes; ++k) {
        const Class of = class_of(job, k);
        const REAL offset = of.log_weight - term_at_a_half(of.gamma);
        const REAL *restrict f = scores_of(s, k);
        FOR_ROWS {
            REAL near = f[i] + offset;
            int is_nearer = s->top[i] < near;
            s->first[i] = is_nearer ? (BITS)k : s->first[i];
            s->top[i] = is_nearer ? near : s->top[i];
        }
    }
    FOR_ROWS {
        const Class of = class_of(job, (int)s->first[i]);
        s->y_first[i] = scores_of(s, (int)s->first[i])[i] + of.log_weight;
        s->gamma_first[i] = of.gamma;
        s->weight_first[i] = of.weight;
        s->largest[i] = -INFINITY;
    }
    for (int k = 0; k < s->n_classes; ++k) {
        const REAL log_weight = class_of(job, k).log_weight;
        REAL *restrict y = scores_of(s, k);
        FOR_ROWS {
            y[i] = (y[i] + log_weight) - s->y_first[i];
            s->largest[i] = s->first[i] == (BITS)k ? s->largest[i] : MAX(s->largest[i], y[i]);
        }
    }
}

/* Leaves exp(y - largest) of the others where STEP_PER_C will be. */
static void first_margin(const Block *block, Scratch *s) {
    const int n = block->n;
    FOR_ROWS s->total[i] = s->small[i] = 0;
    for (int k = 0; k < s->n_classes; ++k) {
        const REAL per_weight = 1 / class_of(block->job, k).weight;
        const REAL *restrict y = scores_of(s, k);
        REAL *restrict relative = array_of(s, STEP_PER_C, k);
        FOR_ROWS {
            relative[i] = s->first[i] == (BITS)k ? 0 : exp_or_zero(y[i] - s->largest[i]);
            s->total[i] += relative[i];
            s->small[i] += relative[i] * per_weight;
        }
    }
    FOR_ROWS {
        const REAL odds = s->largest[i] + log_of(s->total[i]);
        const REAL others = exp_or_zero(MIN(s->largest[i], LIMIT)) * s->small[i] * s->weight_first[i];
        s->eta_first[i] = 1 / (1 + others);
        s->m_first[i] = first_margin_to_start(odds, s->gamma_first[i], (REAL)s->n_classes);
    }
}

static void margins_to_start(const Block *block, Scratch *s) {
    const int n = block->n;
    first_margin(block, s);
    FOR_ROWS {
        s->rest[i] = reach_of(s->m_first[i], R(0), s->gamma_first[i]).rest; /* -T */
        s->scale[i] = MIN(s->largest[i] - s->rest[i], R(0));
    }
    for (int k = 0; k < s->n_classes; ++k) {
        const REAL *restrict y = scores_of(s, k);
        REAL *restrict m = array_of(s, MARGIN, k);
        FOR_ROWS m[i] = s->first[i] == (BITS)k ? s->m_first[i] : MIN(y[i] - s->rest[i], R(0));
    }
}

/* One of Newton's steps for all classes; return whether one was long. */
static int step_margins(const Block *block, Scratch *s) {
    const int n = block->n;
    BITS any_long = 0;
    FOR_ROWS s->others[i] = (Others){0, 0, 0};
    for (int k = 0; k < s->n_classes; ++k) {
        const REAL gamma = class_of(block->job, k).gamma;
        const REAL *restrict y = scores_of(s, k), *restrict m = array_of(s, MARGIN, k);
        REAL *restrict rest = array_of(s, REST, k), *restrict per_c = array_of(s, STEP_PER_C, k);
        FOR_ROWS {
            Reach reach = reach_of(m[i], y[i], gamma);
            REAL relative = s->first[i] == (BITS)k ? 0 : exp_or_zero(m[i] - s->scale[i]);
            s->others[i] = with_other(s->others[i], reach, relative);
            per_c[i] = 1 / reach.slope;
            rest[i] = reach.rest * per_c[i];
        }
    }
    FOR_ROWS {
        Reach first = reach_of(s->m_first[i], R(0), s->gamma_first[i]);
        s->c[i] = constant_of(s->others[i], s->scale[i], first, s->m_first[i]);
        s->scale[i] = -INFINITY;
    }
    for (int k = 0; k < s->n_classes; ++k) {
        const REAL *restrict rest = array_of(s, REST, k), *restrict per_c = array_of(s, STEP_PER_C, k);
        REAL *restrict m = array_of(s, MARGIN, k);
        FOR_ROWS {
            const int is_first = s->first[i] == (BITS)k;
            REAL next = m[i] + (rest[i] - s->c[i] * per_c[i]);
            next = is_first ? next : MIN(next, R(0));
            any_long |= is_long(next - m[i], next);
            m[i] = next;
            s->m_first[i] = is_first ? next : s->m_first[i];
            s->scale[i] = is_first ? s->scale[i] : MAX(s->scale[i], next);
        }
    }
    return any_long != 0;
}

FUNCTION Masses masses_of(const Scratch *s, int i) {
    return (Masses){s->top_mass[i], s->small_mass[i], s->top_moment[i], s->small_moment[i]};
}

FUNCTION void set_masses(Scratch *s, int i, Masses sums) {
    s->top_mass[i] = sums.top, s->small_mass[i] = sums.small;
    s->top_moment[i] = sums.top_b, s->small_moment[i] = sums.small_b;
}

/* B, and the slope b of its logarithm, of every class, and their sums. */
static void masses(const Block *block, Scratch *s) {
    const int n = block->n;
    FOR_ROWS {
        const REAL of_first = log_mass_of_first(s->m_first[i], s->gamma_first[i]);
        s->scale[i] = MAX(s->scale[i], of_first);
        s->mass_first[i] = exp_or_zero(of_first - s->scale[i]);
        set_masses(s, i, (Masses){0, 0, 0, 0});
    }
    for (int k = 0; k < s->n_classes; ++k) {
        const REAL gamma = class_of(block->job, k).gamma;
        const REAL *restrict m = array_of(s, MARGIN, k);
        REAL *restrict mass = array_of(s, REST, k), *restrict b = array_of(s, STEP_PER_C, k);
        FOR_ROWS {
            const int is_first = s->first[i] == (BITS)k, is_true = s->label[i] == (BITS)k;
            Mass of = mass_at(m[i], gamma, s->scale[i]);
            of.mass = is_first ? s->mass_first[i] : of.mass;
            set_masses(s, i, with_mass(masses_of(s, i), of));
            mass[i] = of.mass;
            b[i] = of.b;
            s->a_first[i] = is_first ? of.a : s->a_first[i];
            s->a_true[i] = is_true ? of.a : s->a_true[i];
            s->b_true[i] = is_true ? of.b : s->b_true[i];
        }
    }
}

FUNCTION void logit_outputs(const Block *block, Scratch *s, const int hessian) {
    const int n = block->n;
    const REAL factor = (REAL)block->job->hessian_factor;
    FOR_ROWS {
        const REAL total = s->top_mass[i] + s->small_mass[i];
        const REAL weight = s->row_weight[i] * s->weight_first[i] * factor;
        s->mean_a[i] = weight * s->a_first[i] * s->eta_first[i] * (total / s->mass_first[i]);
        s->a_true[i] *= s->weight[i];
    }
    for (int k = 0; k < s->n_classes; ++k) {
        const REAL *restrict mass = array_of(s, REST, k), *restrict b = array_of(s, STEP_PER_C, k);
        FOR_ROWS {
            const int is_true = s->label[i] == (BITS)k;
            const Mass of = {mass[i], 0, hessian == EXPECTED ? 0 : b[i]};
            Share share = share_of(of, masses_of(s, i));
            REAL off = is_true ? -share.others : share.share, g = s->a_true[i] * off;
            REAL h = s->mean_a[i] * share.share * share.others;
            if (hessian != EXPECTED) h = factor * s->a_true[i] * exact_in_logit(share, off, b[i], s->b_true[i]);
            s->column_g[i] = g;
            s->column_h[i] = hessian == FLOORED ? MAX(h, s->floor_of[i] * ABS(g)) : h;
        }
        store(block, k, s->column_g, s->column_h);
    }
}

static void solve_margins(const Block *block, Scratch *s) {
    choose_first(block, s);
    margins_to_start(block, s);
    for (int step = 0; step < MOST_STEPS && step_margins(block, s); ++step) {
    }
}

/* The same as solve_margins and masses, with the others' p and B looked up, so that
 * the margin of the first class alone is searched for. Masses are in units of exp(largest + T_first). */
/* What is left after a step is about its cube, times a factor that grows with γ: then 1e-6 at most. */
#define IS_SHORT(step, gamma) (ABS(step) * (R(3) + (gamma)) * (R(3) + (gamma)) <= R(0.4))

static int step_by_table(const Block *block, Scratch *s, LookUp *at) {
    const Job *job = block->job;
    const int n = block->n;
    const REAL per_unit = (REAL)job->steps_per_unit;
    BITS any_long = 0;
    FOR_ROWS {
        s->c[i] = -reach_of(s->m_first[i], R(0), s->gamma_first[i]).rest; /* T_first */
        s->rest[i] = s->total[i] = s->mean_b[i] = 0;
    }
    for (int k = 0; k < s->n_classes; ++k) {
        const REAL *restrict relative = array_of(s, STEP_PER_C, k);
        look_up(n, scores_of(s, k), s->c, &job->tables[k], 2, 1, per_unit, at);
        FOR_ROWS { /* B = dp/dT and dB/dT, as p exp(-T) has them */
            Point p = cubic_of(at, i, 0, 1);
            REAL slope = p.slope * per_unit, b = p.value + slope;
            REAL curvature = curvature_of(at, i, 0, 1) * per_unit * per_unit;
            s->total[i] += relative[i] * p.value;
            s->rest[i] += relative[i] * b;
            s->mean_b[i] += relative[i] * (b + slope + curvature);
        }
    }
    FOR_ROWS {
        Margin at_first = margin_of(s->m_first[i]);
        Term first = term_of(at_first, s->gamma_first[i]);
        REAL gap = log_of(s->total[i]) + s->largest[i] + s->c[i] + softplus(s->m_first[i]);
        REAL mean = s->rest[i] / s->total[i], slope = mean * first.slope + at_first.p;
        REAL curvature = (s->mean_b[i] / s->total[i] - mean * mean) * first.slope * first.slope +
                         mean * first.curvature + at_first.p * at_first.q;
        REAL step = -gap / slope, halley = MAX(R(1) + step * curvature / (R(2) * slope), R(0.5));
        s->m_first[i] += step / halley;
        any_long |= !IS_SHORT(step, s->gamma_first[i]);
    }
    return any_long != 0;
}

/* What `masses` does, once the margin of the first class is known. No other has more than γ times its mass, and γ is
 * small where there are tables: it can be the one that is kept apart. */
static void look_up_masses(const Block *block, Scratch *s, LookUp *at) {
    const Job *job = block->job;
    const int n = block->n;
    const REAL per_unit = (REAL)job->steps_per_unit;
    FOR_ROWS {
        s->c[i] = -reach_of(s->m_first[i], R(0), s->gamma_first[i]).rest; /* T_first */
        s->rest[i] = s->total[i] = s->mean_b[i] = 0;
    }
    for (int k = 0; k < s->n_classes; ++k) {
        REAL *restrict mass = array_of(s, REST, k), *restrict b = array_of(s, STEP_PER_C, k);
        look_up(n, scores_of(s, k), s->c, &job->tables[k], 2, 2, per_unit, at);
        FOR_ROWS {
            const int is_true = s->label[i] == (BITS)k;
            const REAL relative = b[i];
            Point a = cubic_of(at, i, 1, 2);
            mass[i] = relative * a.value;
            b[i] = R(1) + a.slope * per_unit / a.value;
            s->total[i] += relative * cubic_of(at, i, 0, 2).value;
            s->rest[i] += mass[i];
            s->mean_b[i] += mass[i] * b[i];
            s->a_true[i] = is_true ? a.value : s->a_true[i];
            s->b_true[i] = is_true ? b[i] : s->b_true[i];
        }
    }
    FOR_ROWS {
        const int is_true = s->label[i] == s->first[i];
        const REAL gamma = s->gamma_first[i];
        Margin at_first = margin_of(s->m_first[i]);
        Term term = term_of(at_first, gamma);
        Mass of = mass_at(s->m_first[i], gamma, R(0));
        of.mass = at_first.p / MAX(term.slope / s->total[i], R(1e-37)); /* finite in float */
        set_masses(s, i, (Masses){of.mass, s->rest[i], of.mass * of.b, s->mean_b[i]});
        s->mass_first[i] = of.mass;
        s->a_first[i] = of.a;
        s->b_first[i] = of.b;
        s->a_true[i] = is_true ? of.a : s->a_true[i];
        s->b_true[i] = is_true ? of.b : s->b_true[i];
    }
    FOR_ROWS {
        array_of(s, REST, (int)s->first[i])[i] = s->mass_first[i];
        array_of(s, STEP_PER_C, (int)s->first[i])[i] = s->b_first[i];
    }
}

static void masses_by_table(const Block *block, Scratch *s) {
    LookUp at;
    choose_first(block, s);
    first_margin(block, s);
    for (int step = 0; step < MOST_STEPS && step_by_table(block, s, &at); ++step) {
    }
    look_up_masses(block, s, &at);
}

static void softmax_logit_derivatives(const Block *block, Scratch *s) {
    if (block->job->tables != NULL)
        masses_by_table(block, s);
    else {
        solve_margins(block, s);
        masses(block, s);
    }
    if (block->job->hessian == EXACT)
        logit_outputs(block, s, EXACT);
    else if (block->job->hessian == FLOORED)
        logit_outputs(block, s, FLOORED);
    else
        logit_outputs(block, s, EXPECTED);
}

#endif
