/* The focal losses on CUDA: a thread a row, or a row and label, around kernel.h, in float32.
 *
 * In the common part of C and CUDA, so that a C compiler makes the same functions for the tests. Everything is
 * compute beside memory on a device, so that the logit link is searched for, without tables. Python puts kernel.h and
 * elementary.h in the place of the include.
 */
#include "kernel.h"

#ifdef __CUDACC__
#define KERNEL extern "C" __global__ void
#define FOR_EACH(i, n)                                                              \
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < (n);   \
         i += (long long)gridDim.x * blockDim.x)
#define REPORT_BAD(row) atomicMin(first_bad, (long long)(row))
#else
#define KERNEL void
#define FOR_EACH(i, n) for (long long i = 0; i < (n); ++i)
#define REPORT_BAD(row) (*first_bad = MIN((row), *first_bad))
#endif

enum { FOCAL, LOGIT };                /* link: z is a score, or log-odds (of many classes, but for a constant) */
enum { FOCAL_LOSS = 1, LOG_LOSS = 2 }; /* task */

FUNCTION int finite(REAL x) { return x * R(0) == R(0); }

/* Two classes. */

FUNCTION REAL score_of(REAL f, Class zero, Class one) {
    REAL z = score_to_start(f, zero, one), step = R(1);
    for (int k = 0; k < MOST_STEPS && is_long(step, z); ++k) {
        step = step_to_score(z, f, zero, one);
        z += step;
    }
    return z;
}

/* One number a row (n_columns = 1), or one a row and label; n numbers in all. `classes` holds class 0 and class 1 of
 * every column. The weight of a row is sample_weight[weight_step * row]: a step of 0 for one weight of all.
 * `*first_bad`, n_rows at first, becomes the first row with a number that is not finite. */
KERNEL focal_sigmoid(const float *z, const unsigned char *label, const float *sample_weight, int weight_step,
                     const Class *classes, int n_columns, int link, int hessian, long long n, float *gradient,
                     float *second, long long *first_bad) {
    FOR_EACH(i, n) {
        long long row = n_columns == 1 ? i : i / n_columns;
        int positive = label[i];
        const Class *both = classes + 2 * (int)(i - row * n_columns);
        REAL sign = positive ? R(1) : R(-1), weight = sample_weight[weight_step * row];
        Margin at = margin_of(sign * z[i]);
        Derivatives d;
        if (link == LOGIT) {
            Attention a = attention_at(score_of(z[i], both[0], both[1]), both[0], both[1]);
            d = derivatives_in_logit(at, sign, a, weight, both[positive].floor, hessian);
        } else
            d = derivatives_in_margin(at, both[positive], weight, hessian, ANY_GAMMA);
        if (hessian == FLOORED) d.h = MAX(d.h, d.floor);
        gradient[i] = -sign * d.g;
        second[i] = d.h;
        if (!finite(z[i]) || !finite(d.g) || !finite(d.h)) REPORT_BAD(row);
    }
}

/* The loss of every number, to be summed. */
KERNEL focal_sigmoid_loss(const float *z, const unsigned char *label, const float *sample_weight,
                          int weight_step, const Class *classes, int n_columns, int link, int task, long long n,
                          float *loss) {
    FOR_EACH(i, n) {
        long long row = n_columns == 1 ? i : i / n_columns;
        int positive = label[i];
        const Class *both = classes + 2 * (int)(i - row * n_columns);
        REAL sign = positive ? R(1) : R(-1), weight = sample_weight[weight_step * row], x = z[i];
        if (task == FOCAL_LOSS) {
            if (link == LOGIT) x = score_of(x, both[0], both[1]);
            loss[i] = focal_loss(sign * x, both[positive], weight);
        } else {
            if (link == FOCAL) x = log_odds(x, both[1], both[0]).value;
            loss[i] = softplus(-sign * x) * weight;
        }
    }
}

/* Many classes: a thread a row. */

/* Of all classes but `left_out`, -1 for none: the largest score, and sums of u = exp(z - top) with and without it. */
typedef struct {
    REAL top, total, rest;
    int finite;
} Sums;

FUNCTION Sums sums_of(const float *z, int n_classes, int left_out) {
    Sums s = {-INFINITY, R(0), R(0), 1};
    REAL small = R(0);
    int n_largest = 0;
    for (int k = 0; k < n_classes; ++k)
        if (k != left_out) {
            s.top = MAX(s.top, z[k]);
            s.finite = s.finite && finite(z[k]);
        }
    for (int k = 0; k < n_classes; ++k) /* those that are 1 are counted: small ones beside them are not lost */
        if (k != left_out) {
            REAL u = exp_or_zero(z[k] - s.top);
            if (u < R(1))
                small += u;
            else
                ++n_largest;
        }
    s.total = n_largest + small;
    s.rest = (n_largest - 1) + small;
    return s;
}

FUNCTION REAL margin_against(REAL z, Sums others) { return (z - others.top) - log_of(others.total); }

FUNCTION void log_loss_of_row(const float *z, int t, int n_classes, REAL weight, REAL factor, float *g, float *h) {
    Sums all = sums_of(z, n_classes, -1);
    for (int k = 0; k < n_classes; ++k) {
        REAL p = exp_or_zero(z[k] - all.top) / all.total, not_p = one_minus(p, all.rest / all.total);
        g[k] = (k == t ? -not_p : p) * weight;
        h[k] = factor * p * not_p * weight;
    }
}

FUNCTION void focal_of_row(const float *z, int t, const Class *classes, int n_classes, REAL weight, int hessian,
                           REAL factor, float *g, float *h) {
    Sums others = sums_of(z, n_classes, t);
    Derivatives d = derivatives_in_margin(margin_of(margin_against(z[t], others)), classes[t], weight, hessian,
                                          ANY_GAMMA);
    REAL slope = slope_of_others(d, hessian) * factor / others.total;
    REAL floor = hessian == FLOORED ? d.floor : -INFINITY;
    d.h *= factor;
    for (int k = 0; k < n_classes; ++k) {
        REAL u = exp_or_zero(z[k] - others.top), share = u / others.total;
        REAL of_k = MAX(hessian_of_other(u, others.rest, d.h, slope), floor);
        g[k] = k == t ? -d.g : d.g * share;
        h[k] = k == t ? MAX(d.h, floor) : of_k * share;
    }
}

typedef struct {
    int first;
    REAL y_first, scale; /* f + log α of the first class; see kernel.h */
} Solved;

FUNCTION REAL relative_to_first(const float *f, const Class *classes, int k, Solved s) {
    return (f[k] + classes[k].log_weight) - s.y_first;
}

/* Write the margins of all classes. */
FUNCTION Solved solve_row(const float *f, const Class *classes, int n_classes, float *m) {
    Solved s = {0, R(0), R(0)};
    REAL top = -INFINITY, total = R(0), nearest = -INFINITY, rest_of_first;
    int go_on = 1;
    for (int k = 0; k < n_classes; ++k) {
        REAL near = f[k] + classes[k].log_weight - term_at_a_half(classes[k].gamma);
        if (nearest < near) s.first = k, nearest = near;
    }
    s.y_first = f[s.first] + classes[s.first].log_weight;
    for (int k = 0; k < n_classes; ++k)
        if (k != s.first) top = MAX(top, relative_to_first(f, classes, k, s));
    for (int k = 0; k < n_classes; ++k)
        if (k != s.first) total += exp_or_zero(relative_to_first(f, classes, k, s) - top);
    m[s.first] = first_margin_to_start(top + log_of(total), classes[s.first].gamma, R(n_classes));
    rest_of_first = reach_of(m[s.first], R(0), classes[s.first].gamma).rest;
    s.scale = MIN(top - rest_of_first, R(0));
    for (int k = 0; k < n_classes; ++k)
        if (k != s.first) m[k] = MIN(relative_to_first(f, classes, k, s) - rest_of_first, R(0));
    for (int step = 0; step < MOST_STEPS && go_on; ++step) {
        Others sums = {R(0), R(0), R(0)};
        REAL c;
        for (int k = 0; k < n_classes; ++k)
            if (k != s.first)
                sums = with_other(sums, reach_of(m[k], relative_to_first(f, classes, k, s), classes[k].gamma),
                                  exp_or_zero(m[k] - s.scale));
        c = constant_of(sums, s.scale, reach_of(m[s.first], R(0), classes[s.first].gamma), m[s.first]);
        s.scale = -INFINITY, go_on = 0;
        for (int k = 0; k < n_classes; ++k) {
            Reach reach = reach_of(m[k], relative_to_first(f, classes, k, s), classes[k].gamma);
            REAL next = m[k] + (reach.rest - c) / reach.slope;
            if (k != s.first) next = MIN(next, R(0)), s.scale = MAX(s.scale, next);
            go_on = go_on || is_long(next - m[k], next);
            m[k] = next;
        }
    }
    return s;
}

FUNCTION void logit_of_row(const float *f, int t, const Class *classes, int n_classes, REAL weight, int hessian,
                           REAL factor, float *g, float *h) {
    Solved s = solve_row(f, classes, n_classes, g); /* margins, for now */
    REAL log_first = log_mass_of_first(g[s.first], classes[s.first].gamma), unit = MAX(s.scale, log_first);
    REAL mass_first = exp_or_zero(log_first - unit), m_first = g[s.first];
    REAL a_first = mass_at(m_first, classes[s.first].gamma, unit).a, floor = classes[t].floor;
    Mass of_true = mass_at(g[t], classes[t].gamma, unit);
    REAL eta_first = margin_of(margin_against(f[s.first], sums_of(f, n_classes, s.first))).p;
    REAL a_true = of_true.a * classes[t].weight * weight, mean_a;
    Masses sums = {R(0), R(0), R(0), R(0)};
    for (int k = 0; k < n_classes; ++k) {
        Mass of = mass_at(g[k], classes[k].gamma, unit);
        if (k == s.first) of.mass = mass_first;
        sums = with_mass(sums, of);
    }
    mean_a = a_first * classes[s.first].weight * weight * eta_first * ((sums.top + sums.small) / mass_first);
    for (int k = 0; k < n_classes; ++k) {
        Mass of = mass_at(g[k], classes[k].gamma, unit);
        Share share;
        REAL off, of_k;
        if (k == s.first) of.mass = mass_first;
        share = share_of(of, sums);
        off = k == t ? -share.others : share.share;
        of_k = factor * mean_a * share.share * share.others;
        if (hessian != EXPECTED) of_k = factor * a_true * exact_in_logit(share, off, of.b, of_true.b);
        g[k] = a_true * off;
        h[k] = hessian == FLOORED ? MAX(of_k, floor * ABS(g[k])) : of_k;
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

/* Scores z of shape (n, n_columns), `label` the true class; the rest as above. `is_log_loss`: γ is 0 everywhere. */
KERNEL focal_softmax(const float *z, const int *label, const float *sample_weight, int weight_step,
                     const Class *classes, int n_columns, int link, int is_log_loss, int hessian,
                     float hessian_factor, long long n, float *gradient, float *second, long long *first_bad) {
    const int n_classes = NUMBER_OF(n_columns);
    FOR_EACH(row, n) {
        READ_ROW(of_row, z + row * n_classes);
        ROOM_FOR_ROW(g, gradient + row * n_classes);
        ROOM_FOR_ROW(h, second + row * n_classes);
        REAL weight = sample_weight[weight_step * row];
        int t = label[row], ok = 1;
        if (link == LOGIT)
            logit_of_row(of_row, t, classes, n_classes, weight, hessian, hessian_factor, g, h);
        else if (is_log_loss)
            log_loss_of_row(of_row, t, n_classes, weight * classes[t].weight, hessian_factor, g, h);
        else
            focal_of_row(of_row, t, classes, n_classes, weight, hessian, hessian_factor, g, h);
        for (int k = 0; k < n_classes; ++k) ok = ok && finite(of_row[k]) && finite(g[k]) && finite(h[k]);
        WRITE_ROW(g, gradient + row * n_classes);
        WRITE_ROW(h, second + row * n_classes);
        if (!ok) REPORT_BAD(row);
    }
}

/* The loss of every row, to be summed; `work` has the size of z, and is not written to with N_CLASSES. */
KERNEL focal_softmax_loss(const float *z, const int *label, const float *sample_weight, int weight_step,
                          const Class *classes, int n_columns, int link, int task, long long n, float *work,
                          float *loss) {
    const int n_classes = NUMBER_OF(n_columns);
    FOR_EACH(row, n) {
        READ_ROW(scores, z + row * n_classes);
        ROOM_FOR_ROW(made, work + row * n_classes);
        const float *f = scores;
        REAL weight = sample_weight[weight_step * row];
        int t = label[row];
        if (task == LOG_LOSS && link == FOCAL) {
            int first = 0;
            Sums others;
            REAL beside;
            for (int k = 1; k < n_classes; ++k) first = f[first] < f[k] ? k : first;
            others = sums_of(f, n_classes, first);
            beside = exp_or_zero(others.top - f[first]);
            for (int k = 0; k < n_classes; ++k) {
                REAL u = exp_or_zero(f[k] - others.top);
                REAL m = k == first ? margin_against(f[first], others)
                                    : (f[k] - f[first]) - log_of(R(1) + beside * (others.rest + (R(1) - u)));
                made[k] = -reach_of(m, classes[k].log_weight, classes[k].gamma).rest;
            }
            f = made;
        }
        if (task == LOG_LOSS)
            loss[row] = softplus(-margin_against(f[t], sums_of(f, n_classes, t))) * weight;
        else if (link == LOGIT) {
            solve_row(f, classes, n_classes, made);
            loss[row] = focal_loss(made[t], classes[t], weight);
        } else
            loss[row] = focal_loss(margin_against(f[t], sums_of(f, n_classes, t)), classes[t], weight);
    }
}
