/* Many classes: sums over the rows, of a focal loss and of the log loss. */
#ifndef SOFTMAX_LOSS_H
#define SOFTMAX_LOSS_H
#include "softmax_logit.h"

/* From focal scores to logarithms of probabilities, but for a constant: log p + γ softplus(m) - log1p(γ r) - log α */
static void log_odds_of_scores(const Block *block, Scratch *s) {
    const int n = block->n;
    FOR_ROWS s->y_first[i] = -INFINITY;
    for (int k = 0; k < s->n_classes; ++k) {
        const REAL *restrict z = scores_of(s, k);
        REAL *restrict copy = array_of(s, MARGIN, k);
        FOR_ROWS {
            int is_larger = s->y_first[i] < z[i];
            s->first[i] = is_larger ? (BITS)k : s->first[i];
            s->y_first[i] = is_larger ? z[i] : s->y_first[i];
            copy[i] = z[i];
        }
    }
    others(block, s, s->first);
    FOR_ROWS {
        s->m_first[i] = margin_of_chosen(s, i);
        s->scale[i] = exp_or_zero(s->top[i] - s->chosen[i]);
    }
    for (int k = 0; k < s->n_classes; ++k) {
        const Class of = class_of(block->job, k);
        const REAL *restrict z = array_of(s, MARGIN, k);
        REAL *restrict u = scores_of(s, k);
        FOR_ROWS {
            REAL beside = log_of(R(1) + s->scale[i] * (s->rest[i] + (R(1) - u[i])));
            REAL m = s->first[i] == (BITS)k ? s->m_first[i] : (z[i] - s->chosen[i]) - beside;
            u[i] = -reach_of(m, of.log_weight, of.gamma).rest;
        }
    }
}

static double softmax_loss(const Block *block, Scratch *s) {
    const int n = block->n, is_logit = block->job->link == LOGIT;
    if (block->job->task == LOG_LOSS) {
        if (!is_logit) log_odds_of_scores(block, s);
        others(block, s, s->label);
        FOR_ROWS s->g[i] = softplus(-margin_of_chosen(s, i)) * s->row_weight[i];
        return sum_of(s->g, n);
    }
    if (is_logit) {
        solve_margins(block, s);
        for (int k = 0; k < s->n_classes; ++k) {
            const REAL *restrict m = array_of(s, MARGIN, k);
            FOR_ROWS s->column_h[i] = s->label[i] == (BITS)k ? m[i] : s->column_h[i];
        }
    } else {
        others(block, s, s->label);
        FOR_ROWS s->column_h[i] = margin_of_chosen(s, i);
    }
    FOR_ROWS {
        Class of = {s->gamma[i], s->weight[i], 0, 0};
        s->g[i] = focal_loss(s->column_h[i], of, R(1));
    }
    return sum_of(s->g, n);
}

static double softmax_block(const Block *block, Scratch *s) {
    const Job *job = block->job;
    load_labels(block, s);
    if (!load_scores(block, s)) return 0;
    if (job->task != DERIVATIVES) return softmax_loss(block, s);
    if (job->all_gamma_zero && job->link == FOCAL)
        log_loss_derivatives(block, s);
    else if (job->link == LOGIT)
        softmax_logit_derivatives(block, s);
    else
        softmax_derivatives(block, s);
    return 0;
}

#endif
