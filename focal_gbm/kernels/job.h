/* One call: what is computed for which rows. compiled.py fills the structs in, field by field. */
#ifndef JOB_H
#define JOB_H
#include "kernel.h"

typedef struct {
    int32_t is_softmax, raw_is_double, label_bytes, n_columns;
    int64_t n_rows, raw_row_step, raw_column_step, out_row_step, out_column_step; /* steps in numbers */
    float hessian_factor, floor;
    Limits limits;
    Table tables[2];           /* w; of many classes that of the others and that of the first */
    const void *raw;           /* float or double, n_rows x n_columns */
    const double *start;       /* of every column, added to raw */
    const void *label;         /* unsigned: column after column; of many classes one column */
    const float *weight;       /* n_rows, or NULL */
    const float *log_alpha, *alpha; /* of many classes: log α, and α times the tables' factor and the scale */
    float *gradient, *hessian;
    int64_t first_bad;         /* the first row with a number that is not finite, or n_rows; OUT_OF_MEMORY */
} Job;

#define OUT_OF_MEMORY -2

/* Rows are worked on in blocks that stay in the first level of cache. */
static inline int64_t rows_of_block(const Job *job) {
    int64_t rows = 4096 / job->n_columns / 16 * 16;
    return !job->is_softmax || rows > 512 ? 512 : rows < 16 ? 16 : rows;
}

static inline int64_t blocks_of(const Job *job) {
    return (job->n_rows + rows_of_block(job) - 1) / rows_of_block(job);
}

#endif
