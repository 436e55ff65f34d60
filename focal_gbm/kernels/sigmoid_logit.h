/* Two classes, or one of many labels, where the raw prediction is the log-odds f: inverts the focal link by row. */
#ifndef SIGMOID_LOGIT_H
#define SIGMOID_LOGIT_H
#include "sigmoid.h"
#include "table.h"

/* Newton's steps for all rows of the block until none is long */
static void scores_of_column(const Column *column, REAL *restrict z) {
    const int n = column->n;
    const REAL *restrict f = column->z;
    const Class zero = column->classes[0], one = column->classes[1];
    BITS any_long = 1;
    FOR_ROWS z[i] = score_to_start(f[i], zero, one);
    for (int step = 0; step < MOST_STEPS && any_long; ++step) {
        any_long = 0;
        FOR_ROWS {
            REAL move = step_to_score(z[i], f[i], zero, one);
            z[i] += move;
            any_long |= is_long(move, z[i]);
        }
    }
}

static void attention_by_steps(const Column *column, REAL *restrict w, REAL *restrict slope) {
    const int n = column->n;
    const Class zero = column->classes[0], one = column->classes[1];
    REAL z[MOST_ROWS];
    scores_of_column(column, z);
    FOR_ROWS {
        Attention a = attention_at(z[i], zero, one);
        w[i] = a.w;
        slope[i] = a.slope;
    }
}

static void attention_by_table(const Column *column, REAL per_unit, const TableOfJob *table, REAL *restrict w,
                               REAL *restrict slope) {
    const int n = column->n;
    LookUp at;
    look_up(n, column->z, NULL, table, 1, 1, per_unit, &at);
    FOR_ROWS {
        Point point = cubic_of(&at, i, 0, 1);
        w[i] = point.value;
        slope[i] = point.slope * per_unit;
    }
}

FUNCTION void logit_derivatives(Column *column, const REAL *restrict w, const REAL *restrict slope, int hessian) {
    const int n = column->n;
    const REAL *restrict f = column->z, *restrict weight = column->weight, *restrict sign = column->sign;
    const REAL floor_of_0 = column->classes[0].floor, floor_of_1 = column->classes[1].floor;
    REAL *restrict g = column->g, *restrict h = column->h;
    FOR_ROWS {
        Attention a = {w[i], slope[i]};
        REAL floor = sign[i] < 0 ? floor_of_0 : floor_of_1;
        Derivatives d =
            derivatives_in_logit(margin_of(sign[i] * f[i]), sign[i], a, weight[i], floor, hessian);
        g[i] = -sign[i] * d.g;
        h[i] = hessian == FLOORED ? MAX(d.h, d.floor) : d.h;
    }
}

static void logit_derivatives_of_column(Column *column, const Job *job, int index) {
    const TableOfJob *table = job->tables == NULL ? NULL : &job->tables[index];
    REAL w[MOST_ROWS], slope[MOST_ROWS];
    if (table != NULL)
        attention_by_table(column, (REAL)job->steps_per_unit, table, w, slope);
    else
        attention_by_steps(column, w, slope);
    if (job->hessian == EXACT)
        logit_derivatives(column, w, slope, EXACT);
    else if (job->hessian == FLOORED)
        logit_derivatives(column, w, slope, FLOORED);
    else
        logit_derivatives(column, w, slope, EXPECTED);
}

/* Scores or log-odds are what the raw predictions are, or are made of them. */
static double sigmoid_loss(Column *column, const Job *job) {
    const int of_margin = job->task == FOCAL_LOSS, is_raw = of_margin == (job->link == FOCAL);
    REAL made[MOST_ROWS];
    if (is_raw) return loss_of_column(column, column->z, of_margin);
    if (of_margin)
        scores_of_column(column, made);
    else
        log_odds_of_column(column, made);
    return loss_of_column(column, made, of_margin);
}

static double sigmoid_block(const Block *block) {
    const Job *job = block->job;
    const int n = block->n;
    double sum = 0;
    Column column = {.n = n, .weight = block->weight};
    for (int k = 0; k < job->n_columns; ++k) {
        REAL copy[MOST_ROWS];
        const uint8_t *label = (const uint8_t *)job->label + k * job->n_rows + block->first;
        if ((column.z = load(block, k, copy)) == NULL) continue;
        FOR_ROWS column.sign[i] = 2 * (int)label[i] - 1;
        column.classes[0] = class_of(job, 2 * k);
        column.classes[1] = class_of(job, 2 * k + 1);
        if (job->task != DERIVATIVES) {
            sum += sigmoid_loss(&column, job);
            continue;
        }
        if (job->link == LOGIT)
            logit_derivatives_of_column(&column, job, k);
        else
            derivatives_by_gamma(&column, job->hessian);
        store(block, k, column.g, column.h);
    }
    return sum;
}

#endif
