/* Gradient and Hessian of the focal losses on a card, in one pass: `_margin.py`, `binary.py` and
 * `multiclass.py` say what and why, line by line. tests/test_cuda_kernel.py holds both to each other.
 *
 * In the common part of C and CUDA, so that a C compiler makes the same functions for the tests. The
 * constants FLOOR and EXP_LIMIT are given on the command line.
 */
#ifdef __CUDACC__
#define FUNCTION static __device__ __forceinline__
#define KERNEL extern "C" __global__ void
#define FOR_EACH(i, n)                                                        \
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < (n); \
         i += (long long)gridDim.x * blockDim.x)
#else
#include <math.h>
#define FUNCTION static inline
#define KERNEL void
#define FOR_EACH(i, n) for (long long i = 0; i < (n); ++i)
#endif

enum { EXACT, FLOORED, MAJORIZING };

/* What the rows of one class share: weight is α times the objective's scale; whole and fraction are of γ, as
 * `split_gamma` splits it. */
typedef struct {
    float gamma, whole, fraction, weight;
} Class;

typedef struct {
    float p, q, g, h, floor;
} Margin;

FUNCTION float power_of_q(Class of, float odds, float q) {
    float power = 1.0f;
    if (of.fraction == 0.5f)
        power = sqrtf(q);
    else if (of.fraction > 0.0f)
        power = expf(-of.fraction * log1pf(1.0f / odds));
    for (int i = (int)of.whole; i > 0; --i) power *= q;
    return power;
}

/* odds = exp(-m), finite and not zero */
FUNCTION Margin derivatives_in_margin(float odds, Class of, float weight, int hessian) {
    Margin m;
    float focal, scale;
    m.p = 1.0f / (1.0f + odds);
    m.q = odds * m.p;
    focal = of.gamma * m.p * log1pf(odds);
    scale = power_of_q(of, odds, m.q) * (of.weight * weight);
    m.g = scale * (m.q + focal);
    m.h = m.p * ((1.0f + 2.0f * of.gamma) * m.q + of.gamma * focal);
    if (hessian != MAJORIZING) m.h -= m.q * focal;
    m.h *= scale;
    m.floor = FLOOR * fminf(of.gamma, 1.0f) * m.g;
    return m;
}

FUNCTION float clip(float x, float low, float high) { return fminf(fmaxf(x, low), high); }

/* One score a row (n_columns = 1), or one a row and label; n scores in all. `classes` holds class 0 and
 * class 1 of every column. The weight of a row is sample_weight[weight_step * row]: a step of 0 for one weight
 * of all. Sets `*failed` where a number is not finite. */
KERNEL focal_sigmoid(const float *z, const unsigned char *label, const float *sample_weight, int weight_step,
                     const Class *classes, int n_columns, int hessian, long long n, float *gradient,
                     float *second, int *failed) {
    FOR_EACH(i, n) {
        long long row = n_columns == 1 ? i : i / n_columns;
        int column = (int)(i - row * n_columns), positive = label[i];
        float x = positive ? -z[i] : z[i];
        Margin m = derivatives_in_margin(expf(clip(x, -EXP_LIMIT, EXP_LIMIT)), classes[2 * column + positive],
                                         sample_weight[weight_step * row], hessian);
        if (hessian == FLOORED) m.h = fmaxf(m.h, m.floor);
        gradient[i] = positive ? -m.g : m.g;
        second[i] = m.h;
        if (!isfinite(x) || !isfinite(m.g) || !isfinite(m.h)) *failed = 1;
    }
}

/* Scores z of shape (n, n_classes), `label` the true class t; the rest as above. */
KERNEL focal_softmax(const float *z, const int *label, const float *sample_weight, int weight_step,
                     const Class *classes, int n_classes, int hessian, float hessian_factor, long long n,
                     float *gradient, float *second, int *failed) {
    FOR_EACH(row, n) {
        const float *score = z + row * n_classes;
        float *gradient_of_row = gradient + row * n_classes, *second_of_row = second + row * n_classes;
        int t = label[row], j, n_largest = 0, finite = isfinite(score[t]);
        float top = score[t == 0], small = 0.0f, total, odds, rest, slope; /* of any class but t */
        Margin m;
        for (j = 0; j < n_classes; ++j)
            if (j != t) {
                finite = finite && isfinite(score[j]);
                top = fmaxf(top, score[j]);
            }
        /* u_j = exp(z_j - top): those that are 1 are counted, so that small ones beside them are not lost */
        for (j = 0; j < n_classes; ++j)
            if (j != t) {
                float u = expf(score[j] - top);
                if (u < 1.0f)
                    small += u;
                else
                    ++n_largest;
            }
        total = n_largest + small;
        rest = (n_largest - 1) + small;
        odds = expf(clip(top - score[t], -EXP_LIMIT, EXP_LIMIT - logf((float)n_classes))) * total;

        m = derivatives_in_margin(odds, classes[t], sample_weight[weight_step * row], hessian);
        slope = hessian == MAJORIZING ? m.g * m.q : m.g - m.h;
        m.h *= hessian_factor;
        slope *= hessian_factor / total;
        for (j = 0; j < n_classes; ++j)
            if (j != t) {
                float u = expf(score[j] - top), s = u / total, h = m.h + slope * (rest + (1.0f - u));
                if (hessian == FLOORED) h = fmaxf(h, m.floor);
                gradient_of_row[j] = m.g * s;
                second_of_row[j] = h * s;
                finite = finite && isfinite(h);
            }
        gradient_of_row[t] = -m.g;
        second_of_row[t] = hessian == FLOORED ? fmaxf(m.h, m.floor) : m.h;
        if (!finite || !isfinite(m.g) || !isfinite(m.h)) *failed = 1;
    }
}
