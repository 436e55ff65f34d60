/* A block of rows on its way in and out. Where a layout or a type is another than the loops', columns are copied. */
#ifndef BLOCK_H
#define BLOCK_H
#include <math.h>
#include <stdlib.h>

#include "job.h"
#include "kernel.h"

/* At least rows_of_block, and no power of two: arrays would share the lines of the cache that they fall on. */
enum { MOST_ROWS = 512 + 16 };

#define FOR_ROWS for (int i = 0; i < n; ++i)
/* Whether a number is not finite, in a form that is vectorised */
#define NOT_FINITE(x) (!((x) * 0 == 0))

typedef struct {
    Job *job;
    int64_t first; /* row */
    int n;
    REAL weight[MOST_ROWS];
} Block;

/* Return the first number that is not finite, or n. */
#define DEFINE_FIRST_BAD(NAME, TYPE)                         \
    static int NAME(int n, const TYPE *x, int64_t step) {    \
        for (int i = 0; i < n; ++i)                          \
            if (!isfinite(x[i * step])) return i;            \
        return n;                                            \
    }
DEFINE_FIRST_BAD(first_bad_float, float)
DEFINE_FIRST_BAD(first_bad_double, double)

/* Return a column of raw predictions, contiguous, in `copy` if it is not in place; NULL if one is not finite. */
static const REAL *load(const Block *block, int column, REAL *restrict copy) {
    const Job *job = block->job;
    const int64_t step = job->raw_row_step;
    const REAL *restrict raw = (const REAL *)job->raw + block->first * step + column * job->raw_column_step;
    const int n = block->n;
    BITS bad = 0;
    if (step == 1)
        FOR_ROWS bad |= NOT_FINITE(raw[i]);
    else
        FOR_ROWS {
            copy[i] = raw[i * step];
            bad |= NOT_FINITE(copy[i]);
        }
    if (!bad) return step == 1 ? raw : copy;
#ifdef DOUBLE
    report_bad(block->job, block->first + first_bad_double(n, raw, step));
#else
    report_bad(block->job, block->first + first_bad_float(n, raw, step));
#endif
    return NULL;
}

#define STORE(TYPE, FIRST_BAD, STEP)                                                     \
    {                                                                                    \
        TYPE *restrict out_g = (TYPE *)job->gradient + offset;                           \
        TYPE *restrict out_h = (TYPE *)job->second + offset;                             \
        FOR_ROWS {                                                                       \
            TYPE stored_g = (TYPE)g[i], stored_h = (TYPE)h[i];                           \
            out_g[i * (STEP)] = stored_g;                                                \
            out_h[i * (STEP)] = stored_h;                                                \
            bad |= NOT_FINITE(stored_g * 0 + stored_h);                                  \
        }                                                                                \
        if (bad) {                                                                       \
            int row_g = FIRST_BAD(n, out_g, STEP), row_h = FIRST_BAD(n, out_h, STEP);    \
            report_bad(block->job, block->first + (row_g < row_h ? row_g : row_h));      \
        }                                                                                \
    }

/* Write a column of gradients and Hessians, and report what is not finite. */
static void store(const Block *block, int column, const REAL *restrict g, const REAL *restrict h) {
    const Job *job = block->job;
    const int64_t step = job->out_row_step, offset = block->first * step + column * job->out_column_step;
    const int n = block->n;
    BITS bad = 0;
    if (job->wide_output)
        STORE(double, first_bad_double, step)
    else if (step == 1)
        STORE(float, first_bad_float, 1)
    else
        STORE(float, first_bad_float, step)
}

/* The same for any number of threads: the order is that of the rows. */
static double sum_of(const REAL *x, int n) {
    double lanes[8] = {0}, sum = 0;
    int i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; ++k) lanes[k] += x[i + k];
    for (; i < n; ++i) lanes[i % 8] += x[i];
    for (int k = 0; k < 8; ++k) sum += lanes[k];
    return sum;
}

static Class class_of(const Job *job, int index) {
    const ClassOfJob *from = &job->classes[index];
    const double floor = job->floor * MIN(from->gamma, 1);
    Class of = {(REAL)from->gamma, (REAL)from->weight, (REAL)from->log_weight, (REAL)floor};
    return of;
}

#endif
