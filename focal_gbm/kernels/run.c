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

Entry entry_baseline;
#ifdef X86_LEVELS
Entry entry_avx2, entry_avx512;
static Entry *const ENTRIES[] = {entry_baseline, entry_avx2, entry_avx512};
#else
static Entry *const ENTRIES[] = {entry_baseline};
#endif

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
EXPORT void focal_run(Job *job, int level, int n_threads, Parallel *parallel, Number *thread, Number *threads) {
    Team team = {job, ENTRIES[level], thread, threads};
    job->first_bad = job->n_rows;
    if (parallel == NULL || n_threads < 2)
        team.entry(job, 0, blocks_of(job));
    else
        parallel(part, &team, (unsigned)n_threads, 0);
}
