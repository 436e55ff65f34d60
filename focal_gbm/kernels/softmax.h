/* Many classes: the scores of a block lie class after class in scratch, `stride` numbers each. */
#ifndef SOFTMAX_H
#define SOFTMAX_H
#include "block.h"

typedef struct {
    int stride;
    BITS label[MOST_ROWS]; /* as wide as REAL */
    REAL gamma[MOST_ROWS], weight[MOST_ROWS];
    REAL of_true[MOST_ROWS], top[MOST_ROWS], largest[MOST_ROWS], small[MOST_ROWS];
    REAL g[MOST_ROWS], h[MOST_ROWS], slope[MOST_ROWS], floor[MOST_ROWS], total[MOST_ROWS], rest[MOST_ROWS];
    REAL column_g[MOST_ROWS], column_h[MOST_ROWS];
    REAL u[]; /* of every class */
} Scratch;

static Scratch *new_scratch(int n_classes, int rows) {
    Scratch *scratch = malloc(sizeof(Scratch) + sizeof(REAL) * n_classes * rows);
    if (scratch != NULL) scratch->stride = rows;
    return scratch;
}

FUNCTION REAL *scores_of(Scratch *s, int k) { return s->u + (size_t)k * s->stride; }

static void load_labels(const Block *block, Scratch *s) {
    const Job *job = block->job;
    const int n = block->n;
    const uint8_t *label = (const uint8_t *)job->label + block->first * job->label_bytes;
    if (job->label_bytes == 1)
        FOR_ROWS s->label[i] = label[i];
    else if (job->label_bytes == 2)
        FOR_ROWS s->label[i] = ((const uint16_t *)label)[i];
    else
        FOR_ROWS s->label[i] = ((const uint32_t *)label)[i];
    FOR_ROWS {
        const ClassOfJob *of = &job->classes[s->label[i]];
        s->gamma[i] = (REAL)of->gamma;
        s->weight[i] = (REAL)of->weight * block->weight[i];
    }
}

/* Return whether all scores are finite. */
static int load_scores(const Block *block, Scratch *s) {
    const int n = block->n;
    for (int k = 0; k < block->job->n_columns; ++k) {
        REAL *u = scores_of(s, k);
        const REAL *column = load(block, k, u);
        if (column == NULL) return 0;
        if (column != u) memcpy(u, column, sizeof(REAL) * n);
    }
    return 1;
}

/* From scores to u_j = exp(z_j - top), of the true class 0 if it is left out. Those that are 1 are counted, so that
 * small ones beside them are not lost. */
static void exponentials(const Block *block, Scratch *s, int without_true) {
    const int n = block->n;
    FOR_ROWS s->largest[i] = s->small[i] = 0;
    for (int k = 0; k < block->job->n_columns; ++k) {
        REAL *restrict u = scores_of(s, k);
        FOR_ROWS {
            REAL e = exp_or_zero(u[i] - s->top[i]);
            e = without_true && s->label[i] == (BITS)k ? 0 : e;
            s->small[i] += e < 1 ? e : 0;
            s->largest[i] += e < 1 ? 0 : 1;
            u[i] = e;
        }
    }
    FOR_ROWS {
        s->total[i] = s->largest[i] + s->small[i];
        s->rest[i] = (s->largest[i] - 1) + s->small[i];
    }
}

/* The classes other than the true one. */
static void others(const Block *block, Scratch *s) {
    const int n = block->n;
    FOR_ROWS s->top[i] = -INFINITY;
    for (int k = 0; k < block->job->n_columns; ++k) {
        const REAL *restrict u = scores_of(s, k);
        FOR_ROWS {
            int is_true = s->label[i] == (BITS)k;
            REAL other = is_true ? -INFINITY : u[i];
            s->of_true[i] = is_true ? u[i] : s->of_true[i];
            s->top[i] = MAX(s->top[i], other);
        }
    }
    exponentials(block, s, 1);
}

FUNCTION REAL margin_of_true(const Scratch *s, int i) {
    return (s->of_true[i] - s->top[i]) - log_of(s->total[i]);
}

FUNCTION void softmax_rows(int n, Scratch *s, int hessian, REAL factor) {
    FOR_ROWS {
        Class of = {s->gamma[i], s->weight[i]};
        Derivatives d = derivatives_in_margin(margin_of(margin_of_true(s, i)), of, R(1), hessian, ANY_GAMMA);
        s->slope[i] = slope_of_others(d, hessian) * factor / s->total[i];
        s->g[i] = d.g;
        s->h[i] = d.h * factor;
        s->floor[i] = hessian == FLOORED ? d.floor : -INFINITY;
    }
}

static void softmax_derivatives(const Block *block, Scratch *s) {
    const int n = block->n, hessian = block->job->hessian;
    const REAL factor = (REAL)block->job->hessian_factor;
    others(block, s);
    if (hessian == MAJORIZING)
        softmax_rows(n, s, MAJORIZING, factor);
    else if (hessian == FLOORED)
        softmax_rows(n, s, FLOORED, factor);
    else
        softmax_rows(n, s, EXACT, factor);
    for (int k = 0; k < block->job->n_columns; ++k) {
        const REAL *restrict u = scores_of(s, k);
        FOR_ROWS {
            int is_true = s->label[i] == (BITS)k;
            REAL share = u[i] / s->total[i];
            REAL h = hessian_of_other(u[i], s->rest[i], s->h[i], s->slope[i]);
            h = MAX(is_true ? s->h[i] : h, s->floor[i]);
            s->column_g[i] = is_true ? -s->g[i] : s->g[i] * share;
            s->column_h[i] = is_true ? h : h * share;
        }
        store(block, k, s->column_g, s->column_h);
    }
}

static double softmax_loss(const Block *block, Scratch *s) {
    const int n = block->n;
    REAL *loss = s->g;
    others(block, s);
    FOR_ROWS {
        Class of = {s->gamma[i], s->weight[i]};
        loss[i] = focal_loss(margin_of_true(s, i), of, R(1));
    }
    return sum_of(loss, n);
}

static void softmax_of_all(const Block *block, Scratch *s) {
    const int n = block->n;
    FOR_ROWS s->top[i] = scores_of(s, 0)[i];
    for (int k = 1; k < block->job->n_columns; ++k) {
        const REAL *restrict u = scores_of(s, k);
        FOR_ROWS s->top[i] = MAX(s->top[i], u[i]);
    }
    exponentials(block, s, 0);
}

/* Above it 1 - p is summed from the others instead: relative to 1 - p, the rounding of p would be felt. Below, 1 - p is
 * what the libraries have, to the last bit. */
#define CERTAIN R(0.99)

/* With γ=0 in every class: p_j and 1 - p_j come of one softmax that does not know the true class, as in the
 * libraries, so that splits which tie exactly tie here as well, and the first of them is taken. */
static void log_loss_derivatives(const Block *block, Scratch *s) {
    const int n = block->n;
    const REAL factor = (REAL)block->job->hessian_factor;
    softmax_of_all(block, s);
    for (int k = 0; k < block->job->n_columns; ++k) {
        const REAL *restrict u = scores_of(s, k);
        FOR_ROWS {
            REAL p = u[i] / s->total[i];
            REAL not_p = p > CERTAIN ? s->rest[i] / s->total[i] : R(1) - p;
            s->column_g[i] = (s->label[i] == (BITS)k ? -not_p : p) * s->weight[i];
            s->column_h[i] = factor * p * not_p * s->weight[i];
        }
        store(block, k, s->column_g, s->column_h);
    }
}

static double softmax_block(const Block *block, Scratch *s) {
    load_labels(block, s);
    if (!load_scores(block, s)) return 0;
    if (block->job->task != DERIVATIVES) return softmax_loss(block, s);
    if (block->job->all_gamma_zero)
        log_loss_derivatives(block, s);
    else
        softmax_derivatives(block, s);
    return 0;
}

#endif
