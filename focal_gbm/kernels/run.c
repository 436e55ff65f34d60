/* What compiled.py calls: a job on the threads of the library that asks for it, by the best instructions there are.
 *
 * Those threads are reached through the functions of its own OpenMP runtime, given by address: GOMP_parallel, which
 * LLVM's runtime has as well, omp_get_thread_num and omp_get_num_threads.
 */
#include <stddef.h>

#include "job.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef void Entry(Job *job, int64_t first, int64_t last);
typedef void Parallel(void (*part)(void *), void *data, unsigned n_threads, unsigned flags);
typedef int Number(void);

Entry entry_baseline_float, entry_baseline_double;
#ifdef X86_LEVELS
Entry entry_avx2_float, entry_avx2_double, entry_avx512_float, entry_avx512_double;
#endif

static Entry *const ENTRIES[][2] = {
    {entry_baseline_float, entry_baseline_double},
#ifdef X86_LEVELS
    {entry_avx2_float, entry_avx2_double},
    {entry_avx512_float, entry_avx512_double},
#endif
};

/* The highest level of instructions that this processor has: an index of ENTRIES. */
EXPORT int focal_best_level(void) {
#ifdef X86_LEVELS
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
               ? 2
               : 1;
#else
    return 0;
#endif
}

void table_of_share(double gamma, int64_t first, int64_t n_nodes, double steps_per_unit, double *nodes);

EXPORT void focal_table_of_share(double gamma, int64_t first, int64_t n_nodes, double steps_per_unit, double *nodes) {
    table_of_share(gamma, first, n_nodes, steps_per_unit, nodes);
}

EXPORT int64_t focal_n_blocks(const Job *job) { return blocks_of(job); }

typedef struct {
    Job *job;
    Entry *entry;
    Number *thread, *n_threads;
} Team;

static void part(void *data) {
    const Team *team = data;
    const int64_t blocks = blocks_of(team->job), thread = team->thread(), n_threads = team->n_threads();
    team->entry(team->job, blocks * thread / n_threads, blocks * (thread + 1) / n_threads);
}

/* Do the job on `n_threads` threads of the runtime, or on the caller's if `parallel` is NULL. */
EXPORT void focal_run(Job *job, int is_double, int level, int n_threads, Parallel *parallel, Number *thread,
                      Number *threads) {
    Team team = {job, ENTRIES[level][is_double], thread, threads};
    job->first_bad = job->n_rows;
    if (parallel == NULL || n_threads < 2)
        team.entry(job, 0, blocks_of(job));
    else
        parallel(part, &team, (unsigned)n_threads, 0);
}
