/* Functions by table: the cubic through values and slopes at both ends of a step.
 *
 * Nodes lie at whole multiples of a power of two, so that no digit of the argument is lost. Both ends of a row are
 * fetched in one piece, as most processors take longer to gather four numbers. Beyond its ends a table is constant.
 */
#ifndef TABLE_H
#define TABLE_H
#include "block.h"

enum { MOST_FUNCTIONS = 2 };

typedef struct {
    REAL part[MOST_ROWS];                      /* of the step, 0 to 1 */
    REAL ends[4 * MOST_FUNCTIONS * MOST_ROWS]; /* value and slope of each function, at both ends of it */
} LookUp;

/* Look f + shift up, shift NULL for none; n_functions lie side by side in a table. */
FUNCTION void look_up(int n, const REAL *restrict f, const REAL *restrict shift, const TableOfJob *table,
                      int n_functions, REAL per_unit, LookUp *restrict at) {
    const int first = (int)table->first, width = 2 * n_functions;
    const REAL low_end = (REAL)first, high_end = (REAL)(first + table->n_nodes - 1);
    const REAL *restrict nodes = table->nodes;
    int32_t node[MOST_ROWS];
    FOR_ROWS {
        REAL x = (shift == NULL ? f[i] : f[i] + shift[i]) * per_unit;
        REAL inside = MIN(MAX(x, low_end), high_end);
        REAL whole = MAX(MIN(rounded(inside - R(0.5)), high_end - 1), low_end);
        at->part[i] = inside - whole;
        node[i] = (int32_t)whole - first;
    }
    FOR_ROWS memcpy(at->ends + 2 * width * i, nodes + width * node[i], 2 * width * sizeof(REAL));
}

/* Value and slope, in a step, of a function at row i */
FUNCTION Point cubic_of(const LookUp *at, int i, int function, int n_functions) {
    const REAL *low = at->ends + 4 * n_functions * i + 2 * function, *high = low + 2 * n_functions;
    REAL u = at->part[i], rise = high[0] - low[0], d = low[1];
    REAL cubic = d + high[1] - R(2) * rise, square = rise - d - cubic;
    Point point = {low[0] + u * (d + u * (square + u * cubic)), d + u * (R(2) * square + R(3) * u * cubic)};
    return point;
}

#endif
