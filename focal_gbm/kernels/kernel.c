/* Gradients of many rows on the CPU: loops around kernel.h that a compiler vectorises.
 *
 * Compiled once for each level of instructions, with ENTRY the name of the one function that comes of it; run.c
 * chooses. No result depends on which thread does which block.
 */
#include <stdlib.h>

#include "job.h"

/* At least rows_of_block, and no power of two: arrays would share the lines of the cache that they fall on. */
enum { MOST_ROWS = 512 + 16, MOST_FUNCTIONS = 3 };

typedef float Rows[MOST_ROWS]; /* a number a row */

typedef struct {
    Rows part;
    float cubics[MOST_FUNCTIONS][4 * MOST_ROWS];
} LookUp;

typedef struct {
    Job *job;
    int64_t first; /* row */
    int n;
    Rows weight, gradient, hessian;
    LookUp at;
} Block;

#define FOR_ROWS for (int i = 0; i < n; ++i)
/* Whether a number is not finite, in a form that is vectorised */
#define NOT_FINITE(x) (!((x) * 0 == 0))

static void report_bad(Job *job, int64_t row) {
    int64_t seen = __atomic_load_n(&job->first_bad, __ATOMIC_RELAXED);
    while (row < seen && !__atomic_compare_exchange_n(&job->first_bad, &seen, row, 1, __ATOMIC_RELAXED,
                                                      __ATOMIC_RELAXED)) {
    }
}

#define DEFINE_LOAD(NAME, TYPE)                                                                                  \
    static int NAME(const Block *block, const TYPE *restrict raw, int64_t step, double start, float *restrict f) { \
        const int n = block->n;                                                                                  \
        int bad = 0;                                                                                             \
        FOR_ROWS {                                                                                               \
            TYPE x = raw[i * step];                                                                              \
            bad |= NOT_FINITE(x);                                                                                \
            x += (TYPE)start;                                                                                    \
            f[i] = (float)MIN(MAX(x, (TYPE)-MOST_SCORE), (TYPE)MOST_SCORE);                                      \
        }                                                                                                        \
        for (int i = 0; bad && i < n; ++i)                                                                       \
            if (NOT_FINITE(raw[i * step])) return i;                                                             \
        return n;                                                                                                \
    }
DEFINE_LOAD(load_float, float)
DEFINE_LOAD(load_double, double)

/* Copy a column of raw predictions, with its start; return whether all are finite. */
static int load(const Block *block, int column, float *restrict f) {
    const Job *job = block->job;
    const int64_t step = job->raw_row_step, offset = block->first * step + column * job->raw_column_step;
    const double start = job->start[column];
    const int good = job->raw_is_double ? step == 1 ? load_double(block, (const double *)job->raw + offset, 1, start, f)
                                                    : load_double(block, (const double *)job->raw + offset, step, start, f)
                     : step == 1        ? load_float(block, (const float *)job->raw + offset, 1, start, f)
                                        : load_float(block, (const float *)job->raw + offset, step, start, f);
    if (good < block->n) report_bad(block->job, block->first + good);
    return good == block->n;
}

/* Write a column of gradients and Hessians, and report what is not finite. */
static void store(Block *block, int column) {
    const Job *job = block->job;
    const int64_t step = job->out_row_step, offset = block->first * step + column * job->out_column_step;
    const int n = block->n;
    const float *restrict g = block->gradient, *restrict h = block->hessian;
    float *restrict out_g = job->gradient + offset, *restrict out_h = job->hessian + offset;
    int bad = 0;
    FOR_ROWS bad |= NOT_FINITE(g[i] * 0 + h[i]);
    if (step == 1) {
        memcpy(out_g, g, n * sizeof *g);
        memcpy(out_h, h, n * sizeof *h);
    } else
        FOR_ROWS {
            out_g[i * step] = g[i];
            out_h[i * step] = h[i];
        }
    for (int i = 0; bad && i < n; ++i)
        if (NOT_FINITE(g[i] * 0 + h[i])) {
            report_bad(block->job, block->first + i);
            break;
        }
}

/* Look x + shift up, shift NULL for none: of the functions that lie side by side in a table, the first ones. The cubics
 * of a row are fetched in one piece, as most processors take longer to gather four numbers. */
FUNCTION void look_up(Block *block, const float *restrict x, const float *restrict shift, const Table *of, int of_table,
                      int n_functions) {
    const Table table = *of;
    const int n = block->n;
    LookUp *restrict at = &block->at;
    int32_t step[MOST_ROWS];
    FOR_ROWS {
        Place place = place_of(shift == NULL ? x[i] : x[i] + shift[i], table);
        at->part[i] = place.part;
        step[i] = 4 * of_table * place.step;
    }
    for (int f = 0; f < n_functions; ++f)
        FOR_ROWS memcpy(at->cubics[f] + 4 * i, table.cubics + step[i] + 4 * f, 4 * sizeof(float));
}

FUNCTION Point looked_up(const Block *block, int i, int function, float per_unit) {
    return cubic_at(block->at.cubics[function] + 4 * i, block->at.part[i], per_unit);
}

/* Two classes, or many labels: a column each, all by one table. */
static void two_classes(Block *block, const Rows f, const uint8_t *restrict label) {
    const Job *job = block->job;
    const int n = block->n;
    const float factor = job->hessian_factor, floor = job->floor, per_unit = job->tables[0].per_unit;
    const float *restrict weight = block->weight;
    float *restrict g = block->gradient, *restrict h = block->hessian;
    look_up(block, f, NULL, &job->tables[0], 1, 1);
    FOR_ROWS {
        Point w = looked_up(block, i, 0, per_unit);
        Derivatives d = of_two_classes(f[i], label[i], w, factor, floor, weight[i]);
        g[i] = d.gradient;
        h[i] = d.hessian;
    }
}

/* Many classes: what rows share, and three numbers of each class. */
typedef struct {
    int stride;
    uint32_t label[MOST_ROWS], first[MOST_ROWS]; /* as wide as a float */
    Rows largest, largest_low, second, second_low; /* of f + log α, with their rounding errors */
    Rows top, top_low, x, term, v, slope, curvature, others, moment, per_total;
    Rows mass_first, u_first, a_true, u_true, term_true;
    float numbers[];
} Many;

enum { Y, MASS, U, PER_CLASS };

static float *numbers(Many *s, int k, int which) { return s->numbers + (int64_t)(PER_CLASS * k + which) * s->stride; }

/* Load log-odds, and find the two largest f + log α of each row; return whether all are finite. */
static int load_many(Block *block, Many *s) {
    const Job *job = block->job;
    const int n = block->n;
    const uint8_t *label = (const uint8_t *)job->label + block->first * job->label_bytes;
    int finite = 1;
    FOR_ROWS {
        s->label[i] = job->label_bytes == 1   ? label[i]
                      : job->label_bytes == 2 ? ((const uint16_t *)label)[i]
                                              : ((const uint32_t *)label)[i];
        s->largest[i] = s->second[i] = -INFINITY;
        s->largest_low[i] = s->second_low[i] = 0;
        s->first[i] = 0;
    }
    for (int k = 0; k < job->n_columns; ++k) {
        float *restrict f = numbers(s, k, Y);
        const float log_alpha = job->log_alpha[k];
        finite &= load(block, k, f);
        FOR_ROWS {
            const Exact y = sum_of(f[i], log_alpha);
            const int is_first = s->largest[i] < y.high, is_second = s->second[i] < y.high;
            s->second[i] = is_first ? s->largest[i] : is_second ? y.high : s->second[i];
            s->second_low[i] = is_first ? s->largest_low[i] : is_second ? y.low : s->second_low[i];
            s->largest[i] = is_first ? y.high : s->largest[i];
            s->largest_low[i] = is_first ? y.low : s->largest_low[i];
            s->first[i] = is_first ? (uint32_t)k : s->first[i];
        }
    }
    return finite;
}

/* From f to y; leave exp(y - top) as the mass, 0 of the first class; start the search. */
static void begin_search(const Block *block, Many *s) {
    const Job *job = block->job;
    const int n = block->n;
    const float per_rate = 1 / job->limits.rate;
    FOR_ROWS {
        const Exact top = difference((Exact){s->second[i], s->second_low[i]}, (Exact){s->largest[i], s->largest_low[i]});
        s->top[i] = top.high * per_rate;
        s->top_low[i] = top.low * per_rate;
        s->v[i] = 0;
    }
    for (int k = 0; k < job->n_columns; ++k) {
        float *restrict y = numbers(s, k, Y), *restrict mass = numbers(s, k, MASS);
        const float log_alpha = job->log_alpha[k];
        FOR_ROWS {
            const Exact of_class = sum_of(y[i], log_alpha);
            Exact relative = difference(of_class, (Exact){s->second[i], s->second_low[i]});
            relative.high *= per_rate, relative.low *= per_rate;
            y[i] = (of_class.high - s->largest[i]) * per_rate;
            mass[i] = s->first[i] == (uint32_t)k ? 0 : exp_of_exact(relative);
            s->v[i] += mass[i];
        }
    }
    FOR_ROWS s->x[i] = x_to_start(s->top[i], s->v[i], job->limits);
}

/* Step all rows; return whether one step was long. */
static int step_many(Block *block, Many *s) {
    const Job *job = block->job;
    const int n = block->n;
    const float per_unit = job->tables[0].per_unit, per_unit_of_first = job->tables[1].per_unit;
    const Limits limits = job->limits;
    Rows slope_of_term, curvature_of_term;
    int any_long = 0;
    look_up(block, s->x, NULL, &job->tables[1], 3, 1);
    FOR_ROWS {
        Point term = term_at(looked_up(block, i, 0, per_unit_of_first), s->x[i], limits);
        s->term[i] = term.value;
        slope_of_term[i] = term.slope;
        curvature_of_term[i] = term.curvature;
        s->v[i] = s->slope[i] = s->curvature[i] = 0;
    }
    for (int k = 0; k < job->n_columns; ++k) {
        const float *restrict mass = numbers(s, k, MASS);
        look_up(block, numbers(s, k, Y), s->term, &job->tables[0], 2, 1);
        FOR_ROWS {
            Point v = looked_up(block, i, 0, per_unit);
            s->v[i] += mass[i] * v.value;
            s->slope[i] += mass[i] * v.slope;
            s->curvature[i] += mass[i] * v.curvature;
        }
    }
    FOR_ROWS {
        Search sums = {s->v[i], s->slope[i], s->curvature[i]};
        Point term = {s->term[i], slope_of_term[i], curvature_of_term[i]};
        float step = step_of_x(s->x[i], s->top[i], sums, term);
        s->x[i] += step;
        any_long |= is_long(step, s->x[i]);
    }
    return any_long;
}

/* B, u and their sums, at the x that was found */
static void masses_of_many(Block *block, Many *s) {
    const Job *job = block->job;
    const int n = block->n;
    const float per_unit = job->tables[0].per_unit, per_rate = 1 / job->limits.rate;
    const Limits limits = job->limits;
    Rows e_first;
    look_up(block, s->x, NULL, &job->tables[1], 3, 3);
    FOR_ROWS {
        s->term[i] = term_at(looked_up(block, i, 0, 1), s->x[i], limits).value;
        e_first[i] = looked_up(block, i, 1, 1).value;
        s->u_first[i] = looked_up(block, i, 2, 1).value;
        s->v[i] = s->others[i] = s->moment[i] = 0;
    }
    for (int k = 0; k < job->n_columns; ++k) {
        const float *restrict y = numbers(s, k, Y);
        float *restrict mass = numbers(s, k, MASS), *restrict u = numbers(s, k, U);
        look_up(block, y, s->term, &job->tables[0], 2, 2);
        FOR_ROWS {
            const int is_true = s->label[i] == (uint32_t)k;
            const float relative = mass[i];
            Point v = looked_up(block, i, 0, per_unit), w = looked_up(block, i, 1, per_unit);
            mass[i] = relative * w.value;
            u[i] = u_of_other(w, per_rate);
            s->v[i] += relative * v.value;
            s->others[i] += mass[i];
            s->moment[i] += mass[i] * u[i];
            s->a_true[i] = is_true ? w.value : s->a_true[i];
            s->u_true[i] = is_true ? u[i] : s->u_true[i];
            s->term_true[i] = is_true ? y[i] + s->term[i] : s->term_true[i];
        }
    }
    FOR_ROWS {
        const int is_true = s->label[i] == s->first[i];
        const First first =
            first_class(e_first[i], s->u_first[i], s->v[i], (Exact){s->top[i], s->top_low[i]}, limits);
        s->mass_first[i] = first.mass;
        s->per_total[i] = 1 / (first.mass + s->others[i]);
        s->a_true[i] = is_true ? first.a : s->a_true[i];
        s->u_true[i] = is_true ? first.u : s->u_true[i];
    }
    if (limits.rate != 1)
        FOR_ROWS s->a_true[i] *= exp_within((1 - limits.rate) * s->term_true[i]);
    FOR_ROWS s->a_true[i] *= job->alpha[s->label[i]] * block->weight[i];
}

static void many_classes(Block *block, Many *s) {
    const Job *job = block->job;
    const int n = block->n;
    const float factor = job->hessian_factor, floor = job->floor;
    float *restrict g = block->gradient, *restrict h = block->hessian;
    begin_search(block, s);
    for (int step = 0; step < MOST_STEPS && step_many(block, s); ++step) {
    }
    masses_of_many(block, s);
    for (int k = 0; k < job->n_columns; ++k) {
        const float *restrict mass = numbers(s, k, MASS), *restrict u = numbers(s, k, U);
        FOR_ROWS {
            const Masses m = {s->others[i], s->moment[i], s->per_total[i]};
            const First first = {s->mass_first[i], 0, s->u_first[i]};
            Derivatives d = of_class(mass[i], u[i], s->first[i] == (uint32_t)k, s->label[i] == (uint32_t)k,
                                     s->u_true[i], m, first);
            g[i] = s->a_true[i] * d.gradient;
            h[i] = s->a_true[i] * MAX(factor * d.hessian, floor * ABS(d.gradient));
        }
        store(block, k);
    }
}

/* Do blocks first to last - 1 of a job. */
void ENTRY(Job *job, int64_t first, int64_t last) {
    const int rows = (int)rows_of_block(job);
    const size_t of_classes = sizeof(float) * PER_CLASS * (size_t)job->n_columns * (size_t)rows;
    Many *many = job->is_softmax ? malloc(sizeof(Many) + of_classes) : NULL;
    Block block;
    if (job->is_softmax && many == NULL) {
        report_bad(job, OUT_OF_MEMORY);
        return;
    }
    if (many != NULL) many->stride = rows;
    block.job = job;
    for (int64_t index = first; index < last; ++index) {
        const int64_t left = job->n_rows - index * rows;
        const int n = block.n = (int)(left < rows ? left : rows);
        block.first = index * rows;
        FOR_ROWS block.weight[i] = job->weight == NULL ? 1 : job->weight[block.first + i];
        if (job->is_softmax) {
            if (load_many(&block, many)) many_classes(&block, many);
            continue;
        }
        for (int k = 0; k < job->n_columns; ++k) {
            Rows f;
            if (!load(&block, k, f)) continue;
            two_classes(&block, f, (const uint8_t *)job->label + k * job->n_rows + block.first);
            store(&block, k);
        }
    }
    free(many);
}
