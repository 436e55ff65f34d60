/* The focal losses of many rows on the CPU: loops around kernel.h that a compiler vectorises.
 *
 * Compiled once for each type and level of instructions, with ENTRY the name of the one function that comes of
 * it; run.c chooses.
 */
#include "sigmoid_logit.h"
#include "softmax_loss.h"

static void load_weights(Block *block) {
    const float *weight = block->job->weight;
    const int n = block->n;
    if (weight == NULL)
        FOR_ROWS block->weight[i] = 1;
    else
        FOR_ROWS block->weight[i] = (REAL)weight[block->first + i];
}

/* Do blocks first to last - 1 of a job. */
void ENTRY(Job *job, int64_t first, int64_t last) {
    const int rows = (int)rows_of_block(job);
    Scratch *scratch = job->loss == SOFTMAX ? new_scratch(job->n_columns, rows) : NULL;
    Block block;
    if (job->loss == SOFTMAX && scratch == NULL) {
        report_bad(job, OUT_OF_MEMORY);
        return;
    }
    block.job = job;
    for (int64_t index = first; index < last; ++index) {
        double sum;
        block.first = index * rows;
        block.n = (int)(job->n_rows - block.first < rows ? job->n_rows - block.first : rows);
        load_weights(&block);
        sum = job->loss == SOFTMAX ? softmax_block(&block, scratch) : sigmoid_block(&block);
        if (job->task != DERIVATIVES) job->sums[index] = sum;
    }
    free(scratch);
}

#ifdef TABLE_ENTRY
/* p exp(-T) and B exp(-T) as functions of T, at `first` steps and on: four numbers a node. */
void TABLE_ENTRY(double gamma, int64_t first, int64_t n_nodes, double steps_per_unit, double *nodes) {
    for (int64_t i = 0; i < n_nodes; ++i) {
        const double t = (double)(first + i) / steps_per_unit;
        double m = t < 0 ? t : 0, step = 1;
        for (int k = 0; k < MOST_STEPS && is_long(step, m); ++k) {
            Reach reach = reach_of(m, t, gamma);
            step = reach.rest / reach.slope;
            m += step;
        }
        Margin at = margin_of(m);
        Term term = term_of(at, gamma);
        const double p = at.p * exp_of_sum(-t, 0), b = p * at.q / term.slope;
        nodes[4 * i] = p;
        nodes[4 * i + 1] = (b - p) / steps_per_unit;
        nodes[4 * i + 2] = b;
        nodes[4 * i + 3] = b * (((at.q - at.p) - term.curvature / term.slope) / term.slope - 1) / steps_per_unit;
    }
}
#endif
