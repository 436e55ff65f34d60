/* Functions by table: a cubic in every step.
 *
 * Steps end at whole multiples of a power of two, so that no digit of the argument is lost. The cubics of a row are
 * fetched in one piece, as most processors take longer to gather four numbers. Beyond its ends a table is constant.
 */
#ifndef TABLE_H
#define TABLE_H
#include "block.h"

enum { MOST_FUNCTIONS = 2 };

typedef struct {
    REAL part[MOST_ROWS]; /* of the step, 0 to 1 */
    REAL cubics[4 * MOST_FUNCTIONS * MOST_ROWS];
} LookUp;

/* Look f + shift up, shift NULL for none; of the functions that lie side by side in a table, the first ones. */
FUNCTION void look_up(int n, const REAL *restrict f, const REAL *restrict shift, const TableOfJob *table,
                      int of_table, int n_functions, REAL per_unit, LookUp *restrict at) {
    const int first = (int)table->first, width = 4 * n_functions, width_of_table = 4 * of_table;
    const REAL low_end = (REAL)first, high_end = (REAL)(first + table->n_steps);
    const REAL *restrict cubics = table->cubics;
    int32_t step[MOST_ROWS];
    FOR_ROWS {
        REAL x = (shift == NULL ? f[i] : f[i] + shift[i]) * per_unit;
        REAL inside = MIN(MAX(x, low_end), high_end);
        REAL whole = MAX(MIN(rounded(inside - R(0.5)), high_end - 1), low_end);
        at->part[i] = inside - whole;
        step[i] = (int32_t)whole - first;
    }
    FOR_ROWS memcpy(at->cubics + width * i, cubics + width_of_table * step[i], width * sizeof(REAL));
}

/* Value and slope, in a step, of a function at row i */
FUNCTION Point cubic_of(const LookUp *at, int i, int function, int n_functions) {
    const REAL *c = at->cubics + 4 * (n_functions * i + function);
    REAL u = at->part[i];
    return (Point){c[0] + u * (c[1] + u * (c[2] + u * c[3])), c[1] + u * (R(2) * c[2] + R(3) * u * c[3])};
}

/* Its second derivative, in steps, to a few digits */
FUNCTION REAL curvature_of(const LookUp *at, int i, int function, int n_functions) {
    const REAL *c = at->cubics + 4 * (n_functions * i + function);
    return R(2) * c[2] + R(6) * at->part[i] * c[3];
}

#endif
