/* Gradients on CUDA: a thread a row, or a row and label, around kernel.h.
 *
 * In the common part of C and CUDA, so that a C compiler makes the same functions for the tests. Python puts kernel.h in
 * the place of the include.
 */
#include "kernel.h"

#ifdef __CUDACC__
#define KERNEL extern "C" __global__ void
#define FOR_EACH(i, n)                                                              \
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < (n);   \
         i += (long long)gridDim.x * blockDim.x)
#define REPORT_BAD(row) atomicMin(first_bad, (long long)(row))
#define UNROLLED _Pragma("unroll") /* an index that the compiler does not know takes a row out of registers */
#else
#define KERNEL void
#define FOR_EACH(i, n) for (long long i = 0; i < (n); ++i)
#define REPORT_BAD(row) (*first_bad = MIN((row), *first_bad))
#define UNROLLED
#endif

/* `constants`: Hessian factor and floor, the limits, and first, n_steps and per_unit of each table, see cuda.py. */
enum { FACTOR, FLOOR, RATE, TERM_SLOPE, SHARE_SLOPE, MOST, TABLE_0, TABLE_1 = TABLE_0 + 3 };

FUNCTION int finite(float x) { return x * 0 == 0; }

FUNCTION Table table_from(const float *numbers, const float *cubics) {
    Table table = {numbers[0], numbers[1], numbers[2], cubics};
    return table;
}

/* Of the functions that lie side by side in a table, one at the place of x */
FUNCTION Point point_at(Table table, Place place, int function, int n_functions) {
    return cubic_at(table.cubics + 4 * (n_functions * place.step + function), place.part, table.per_unit);
}

/* One number a row (n_columns = 1), or one a row and label; n numbers in all. The weight of a row is
 * weight[weight_step * row]: a step of 0 for one weight of all. `*first_bad`, the number of rows at first, becomes the
 * first row with a number that is not finite. */
KERNEL focal_two_classes(const float *raw, const unsigned char *label, const float *weight, int weight_step,
                         int n_columns, const float *constants, const float *cubics, long long n, float *gradient,
                         float *hessian, long long *first_bad) {
    const Table table = table_from(constants + TABLE_0, cubics);
    FOR_EACH(i, n) {
        long long row = n_columns == 1 ? i : i / n_columns;
        float f = MIN(MAX(raw[i], -MOST_SCORE), MOST_SCORE);
        Point w = point_at(table, place_of(f, table), 0, 1);
        Derivatives d = of_two_classes(f, label[i], w, constants[FACTOR], constants[FLOOR], weight[weight_step * row]);
        gradient[i] = d.gradient;
        hessian[i] = d.hessian;
        if (!finite(raw[i]) || !finite(d.gradient) || !finite(d.hessian)) REPORT_BAD(row);
    }
}

/* The log-odds of a row with their log α; y is relative to the largest. */
typedef struct {
    const float *f, *log_alpha;
    float per_rate;
    Exact largest;
    int first;
} Row;

FUNCTION Exact of_row(Row row, int k) {
    return sum_of(MIN(MAX(row.f[k], -MOST_SCORE), MOST_SCORE), row.log_alpha[k]);
}

FUNCTION float y_of(Row row, int k) { return (of_row(row, k).high - row.largest.high) * row.per_rate; }

FUNCTION Exact times(Exact x, float factor) {
    x.high *= factor, x.low *= factor;
    return x;
}

FUNCTION void many_classes(const float *f, int t, const float *log_alpha, float weight, int n_classes,
                           const float *constants, Table others, Table of_first, float *g, float *h) {
    const Limits limits = {constants[RATE], constants[TERM_SLOPE], constants[SHARE_SLOPE], constants[MOST]};
    Row row = {f, log_alpha, 1 / limits.rate, {-INFINITY, 0}, 0};
    Exact second = {-INFINITY, 0}, top;
    float total = 0, x, term, e, a = 0, u_true = 0, term_true = 0, v = 0;
    First of_first_class;
    Masses m = {0, 0, 0};
    Place place;
    int go_on = 1;
    for (int k = 0; k < n_classes; ++k) {
        Exact y = of_row(row, k);
        if (row.largest.high < y.high)
            second = row.largest, row.largest = y, row.first = k;
        else if (second.high < y.high)
            second = y;
    }
    top = times(difference(second, row.largest), row.per_rate);
    for (int k = 0; k < n_classes; ++k) { /* exp(y - top) */
        g[k] = k == row.first ? 0 : exp_of_exact(times(difference(of_row(row, k), second), row.per_rate));
        total += g[k];
    }
    x = x_to_start(top.high, total, limits);
    for (int step = 0; step < MOST_STEPS && go_on; ++step) {
        Search s = {0, 0, 0};
        Point at;
        float move;
        place = place_of(x, of_first);
        at = term_at(point_at(of_first, place, 0, 3), x, limits);
        for (int k = 0; k < n_classes; ++k) {
            Point v = point_at(others, place_of(y_of(row, k) + at.value, others), 0, 2);
            s.v += g[k] * v.value, s.slope += g[k] * v.slope, s.curvature += g[k] * v.curvature;
        }
        move = step_of_x(x, top.high, s, at);
        x += move;
        go_on = is_long(move, x);
    }
    place = place_of(x, of_first);
    term = term_at(point_at(of_first, place, 0, 3), x, limits).value;
    e = point_at(of_first, place, 1, 3).value;
    UNROLLED for (int k = 0; k < n_classes; ++k) {
        float term_k = y_of(row, k) + term;
        Place of_k = place_of(term_k, others);
        Point w = point_at(others, of_k, 1, 2);
        v += g[k] * point_at(others, of_k, 0, 2).value;
        g[k] *= w.value;
        h[k] = u_of_other(w, row.per_rate);
        m.others += g[k];
        m.moment += g[k] * h[k];
        if (k == t) a = w.value, u_true = h[k], term_true = term_k;
    }
    of_first_class = first_class(e, point_at(of_first, place, 2, 3).value, v, top, limits);
    m.per_total = 1 / (of_first_class.mass + m.others);
    if (t == row.first) a = of_first_class.a, u_true = of_first_class.u;
    a *= exp_within((1 - limits.rate) * term_true) * weight;
    for (int k = 0; k < n_classes; ++k) {
        Derivatives d = of_class(g[k], h[k], k == row.first, k == t, u_true, m, of_first_class);
        g[k] = a * d.gradient;
        h[k] = a * MAX(constants[FACTOR] * d.hessian, constants[FLOOR] * ABS(d.gradient));
    }
}

/* With a number of classes that the compiler knows, a row is read and written once and stays with its thread. */
#ifdef N_CLASSES
#define NUMBER_OF(n_columns) ((void)(n_columns), N_CLASSES)
#define READ_ROW(name, from)   \
    float name[N_CLASSES];     \
    for (int k = 0; k < N_CLASSES; ++k) name[k] = (from)[k]
#define ROOM_FOR_ROW(name, to) \
    float name[N_CLASSES];     \
    (void)(to)
#define WRITE_ROW(name, to) \
    for (int k = 0; k < N_CLASSES; ++k) (to)[k] = name[k]
#else
#define NUMBER_OF(n_columns) (n_columns)
#define READ_ROW(name, from) const float *name = (from)
#define ROOM_FOR_ROW(name, to) float *name = (to)
#define WRITE_ROW(name, to) (void)name
#endif

/* Log-odds of shape (n, n_columns), `label` the true class; the rest as above. */
KERNEL focal_many_classes(const float *raw, const int *label, const float *weight, int weight_step, int n_columns,
                          const float *constants, const float *log_alpha, const float *alpha, const float *others,
                          const float *first, long long n, float *gradient, float *hessian, long long *first_bad) {
    const int n_classes = NUMBER_OF(n_columns);
    const Table of_others = table_from(constants + TABLE_0, others), of_first = table_from(constants + TABLE_1, first);
    FOR_EACH(row, n) {
        READ_ROW(f, raw + row * n_classes);
        ROOM_FOR_ROW(g, gradient + row * n_classes);
        ROOM_FOR_ROW(h, hessian + row * n_classes);
        int t = label[row], ok = 1;
        many_classes(f, t, log_alpha, alpha[t] * weight[weight_step * row], n_classes, constants, of_others, of_first,
                     g, h);
        for (int k = 0; k < n_classes; ++k) ok = ok && finite(f[k]) && finite(g[k]) && finite(h[k]);
        WRITE_ROW(g, gradient + row * n_classes);
        WRITE_ROW(h, hessian + row * n_classes);
        if (!ok) REPORT_BAD(row);
    }
}
