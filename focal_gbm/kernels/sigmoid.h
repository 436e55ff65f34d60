/* Two classes, or one of many labels: classes[0] of label 0 and classes[1] of label 1. */
#ifndef SIGMOID_H
#define SIGMOID_H
#include "block.h"

typedef struct {
    int n;
    const REAL *z, *weight; /* z: raw predictions, of either link */
    REAL sign[MOST_ROWS]; /* 1 for label 1 and -1 for label 0: what makes a margin of z */
    Class classes[2];
    REAL g[MOST_ROWS], h[MOST_ROWS];
} Column;

FUNCTION Class class_of_row(const Class *classes, REAL sign) {
    Class of = {sign < 0 ? classes[0].gamma : classes[1].gamma,
                sign < 0 ? classes[0].weight : classes[1].weight,
                sign < 0 ? classes[0].log_weight : classes[1].log_weight,
                sign < 0 ? classes[0].floor : classes[1].floor};
    return of;
}

/* `hessian` and `whole` are constants of each loop that the compiler makes of it. */
FUNCTION void derivatives_of_column(Column *column, int hessian, int whole) {
    const int n = column->n;
    const Class classes[2] = {column->classes[0], column->classes[1]};
    const REAL *restrict z = column->z, *restrict weight = column->weight;
    REAL *restrict g = column->g, *restrict h = column->h;
    const REAL *restrict sign = column->sign;
    FOR_ROWS {
        Margin at = margin_of(sign[i] * z[i]);
        Derivatives d =
            derivatives_in_margin(at, class_of_row(classes, sign[i]), weight[i], hessian, whole);
        g[i] = -sign[i] * d.g;
        h[i] = hessian == FLOORED ? MAX(d.h, d.floor) : d.h;
    }
}

static void derivatives_by_gamma(Column *column, int hessian) {
    const REAL gamma = column->classes[0].gamma;
    const int equal = gamma == column->classes[1].gamma;
    if (equal && gamma == 0)
        derivatives_of_column(column, EXACT, 0); /* all three are one */
    else if (equal && gamma == 1 && hessian == FLOORED)
        derivatives_of_column(column, FLOORED, 1);
    else if (equal && gamma == 2 && hessian == FLOORED)
        derivatives_of_column(column, FLOORED, 2);
    else if (hessian == FLOORED)
        derivatives_of_column(column, FLOORED, ANY_GAMMA);
    else if (hessian == EXACT)
        derivatives_of_column(column, EXACT, ANY_GAMMA);
    else
        derivatives_of_column(column, MAJORIZING, ANY_GAMMA);
}

/* The sums over rows: a focal loss, at the margin ±score of the true class, or a log loss, at its log-odds */
static double loss_of_column(Column *column, const REAL *restrict score, int of_margin) {
    const int n = column->n;
    const REAL *restrict sign = column->sign, *restrict weight = column->weight;
    const Class classes[2] = {column->classes[0], column->classes[1]};
    if (of_margin)
        FOR_ROWS column->g[i] = focal_loss(sign[i] * score[i], class_of_row(classes, sign[i]), weight[i]);
    else
        FOR_ROWS column->g[i] = softplus(-sign[i] * score[i]) * weight[i];
    return sum_of(column->g, n);
}

static void log_odds_of_column(Column *column, REAL *restrict f) {
    const int n = column->n;
    const Class zero = column->classes[0], one = column->classes[1];
    FOR_ROWS f[i] = log_odds(column->z[i], one, zero).value;
}

#endif
