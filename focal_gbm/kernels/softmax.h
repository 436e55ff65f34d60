/* Many classes: the scores of a block lie class after class in scratch, `stride` numbers each. */
#ifndef SOFTMAX_H
#define SOFTMAX_H
#include "block.h"

typedef REAL Rows[MOST_ROWS]; /* a number a row */

typedef struct {
    int n_classes, stride;
    BITS label[MOST_ROWS]; /* as wide as REAL */
    Rows row_weight, gamma, weight, floor_of;         /* weight is the row's times that of its class */
    Rows chosen, top, largest, small, total, rest;    /* of `others` */
    Rows g, h, slope, floor, column_g, column_h;
    /* of the logit link */
    BITS first[MOST_ROWS];
    Rows y_first, gamma_first, weight_first, m_first, eta_first, a_first, b_first, mass_first;
    Rows a_true, b_true, mean_a, mean_b, scale, c;
    Rows top_mass, small_mass, top_moment, small_moment; /* Masses, each apart: loops of structs are slow */
    Others others[MOST_ROWS];
    REAL u[]; /* (1 + N_ARRAYS) numbers a class: scores and what they become, and three more */
} Scratch;

enum { MARGIN, REST, STEP_PER_C, N_ARRAYS };

static Scratch *new_scratch(int n_classes, int rows) {
    Scratch *s = malloc(sizeof(Scratch) + sizeof(REAL) * (1 + N_ARRAYS) * n_classes * (size_t)rows);
    if (s != NULL) s->n_classes = n_classes, s->stride = rows;
    return s;
}

FUNCTION REAL *scores_of(Scratch *s, int k) { return s->u + (size_t)k * s->stride; }

FUNCTION REAL *array_of(Scratch *s, int which, int k) { return scores_of(s, (which + 1) * s->n_classes + k); }

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
        s->row_weight[i] = block->weight[i];
        s->weight[i] = (REAL)of->weight * block->weight[i];
        s->floor_of[i] = (REAL)(job->floor * MIN(of->gamma, 1));
    }
}

/* Return whether all scores are finite; all columns are looked at, as the first bad row is wanted. */
static int load_scores(const Block *block, Scratch *s) {
    const int n = block->n;
    int finite = 1;
    for (int k = 0; k < s->n_classes; ++k) {
        REAL *u = scores_of(s, k);
        const REAL *column = load(block, k, u);
        if (column == NULL)
            finite = 0;
        else if (column != u)
            memcpy(u, column, sizeof(REAL) * n);
    }
    return finite;
}

/* From scores to u_j = exp(z_j - top), 0 for the class that is left out, if one is. Those that are 1 are counted, so
 * that small ones beside them are not lost. */
static void exponentials(const Block *block, Scratch *s, const BITS *left_out) {
    const int n = block->n;
    FOR_ROWS s->largest[i] = s->small[i] = 0;
    for (int k = 0; k < s->n_classes; ++k) {
        REAL *restrict u = scores_of(s, k);
        FOR_ROWS {
            REAL e = exp_or_zero(u[i] - s->top[i]);
            e = left_out != NULL && left_out[i] == (BITS)k ? 0 : e;
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

/* The classes other than the chosen one of each row, such as the true one. */
static void others(const Block *block, Scratch *s, const BITS *choice) {
    const int n = block->n;
    FOR_ROWS s->top[i] = -INFINITY;
    for (int k = 0; k < s->n_classes; ++k) {
        const REAL *restrict u = scores_of(s, k);
        FOR_ROWS {
            int is_chosen = choice[i] == (BITS)k;
            s->chosen[i] = is_chosen ? u[i] : s->chosen[i];
            s->top[i] = is_chosen ? s->top[i] : MAX(s->top[i], u[i]);
        }
    }
    exponentials(block, s, choice);
}

FUNCTION REAL margin_of_chosen(const Scratch *s, int i) {
    return (s->chosen[i] - s->top[i]) - log_of(s->total[i]);
}

FUNCTION void softmax_rows(int n, Scratch *s, int hessian, REAL factor) {
    FOR_ROWS {
        Class of = {s->gamma[i], s->weight[i], 0, s->floor_of[i]};
        Derivatives d = derivatives_in_margin(margin_of(margin_of_chosen(s, i)), of, R(1), hessian, ANY_GAMMA);
        s->slope[i] = slope_of_others(d, hessian) * factor / s->total[i];
        s->g[i] = d.g;
        s->h[i] = d.h * factor;
        s->floor[i] = hessian == FLOORED ? d.floor : -INFINITY;
    }
}

static void softmax_derivatives(const Block *block, Scratch *s) {
    const int n = block->n, hessian = block->job->hessian;
    const REAL factor = (REAL)block->job->hessian_factor;
    others(block, s, s->label);
    if (hessian == MAJORIZING)
        softmax_rows(n, s, MAJORIZING, factor);
    else if (hessian == FLOORED)
        softmax_rows(n, s, FLOORED, factor);
    else
        softmax_rows(n, s, EXACT, factor);
    for (int k = 0; k < s->n_classes; ++k) {
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

static void softmax_of_all(const Block *block, Scratch *s) {
    const int n = block->n;
    FOR_ROWS s->top[i] = scores_of(s, 0)[i];
    for (int k = 1; k < s->n_classes; ++k) {
        const REAL *restrict u = scores_of(s, k);
        FOR_ROWS s->top[i] = MAX(s->top[i], u[i]);
    }
    exponentials(block, s, NULL);
}

/* The softmax of γ=0 in every class. */
static void log_loss_derivatives(const Block *block, Scratch *s) {
    const int n = block->n;
    const REAL factor = (REAL)block->job->hessian_factor;
    softmax_of_all(block, s);
    for (int k = 0; k < s->n_classes; ++k) {
        const REAL *restrict u = scores_of(s, k);
        FOR_ROWS {
            REAL p = u[i] / s->total[i];
            REAL not_p = one_minus(p, s->rest[i] / s->total[i]);
            s->column_g[i] = (s->label[i] == (BITS)k ? -not_p : p) * s->weight[i];
            s->column_h[i] = factor * p * not_p * s->weight[i];
        }
        store(block, k, s->column_g, s->column_h);
    }
}

#endif
