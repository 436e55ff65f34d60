/* One call: what is computed for which rows. compiled.py fills the structs in, field by field. */
#ifndef JOB_H
#define JOB_H
#include <stdint.h>

enum { SIGMOID, SOFTMAX };                        /* loss: of each column, or over all columns */
enum { FOCAL, LOGIT };                            /* link: raw predictions are scores, or log-odds */
enum { DERIVATIVES, FOCAL_LOSS, LOG_LOSS };       /* task: the last two are sums over the rows */

typedef struct {
    double gamma, weight, log_weight;
} ClassOfJob;

/* Functions on n_steps equal steps from `first` steps on: in each a cubic of 0 to 1, four REAL a function. */
typedef struct {
    int64_t first, n_steps;
    const void *cubics;
} TableOfJob;

typedef struct {
    int32_t task, loss, link, hessian, label_bytes, wide_output, n_columns, all_gamma_zero;
    int64_t n_rows, raw_row_step, raw_column_step, out_row_step, out_column_step;
    double hessian_factor, floor;
    const void *raw;             /* REAL, n_rows x n_columns, steps in numbers */
    const void *label;           /* unsigned: n_rows, or n_columns x n_rows for SIGMOID */
    const float *weight;         /* n_rows, or NULL */
    const ClassOfJob *classes;   /* n_columns, or n_columns x 2 for SIGMOID */
    const TableOfJob *tables;    /* for the logit link, one a column, or NULL where there is none */
    double steps_per_unit;       /* of all tables */
    void *gradient, *second;     /* float, or double if wide_output, as raw; for DERIVATIVES */
    double *sums;                /* one a block of rows, for the other tasks */
    int64_t first_bad;           /* the first row with a number that is not finite, or n_rows; OUT_OF_MEMORY */
} Job;

#define OUT_OF_MEMORY -2

/* Rows are worked on in blocks that stay in the first level of cache, and no sum depends on who does which. */
static inline int64_t rows_of_block(const Job *job) {
    int64_t rows = 4096 / job->n_columns / 16 * 16;
    return job->loss == SIGMOID || rows > 512 ? 512 : rows < 16 ? 16 : rows;
}

static inline int64_t blocks_of(const Job *job) {
    return (job->n_rows + rows_of_block(job) - 1) / rows_of_block(job);
}

static inline void report_bad(Job *job, int64_t row) {
    int64_t seen = __atomic_load_n(&job->first_bad, __ATOMIC_RELAXED);
    while (row < seen && !__atomic_compare_exchange_n(&job->first_bad, &seen, row, 1, __ATOMIC_RELAXED,
                                                      __ATOMIC_RELAXED)) {
    }
}

#endif
