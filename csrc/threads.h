// A small pool of worker threads. One call at a time uses it; a call from a second thread runs alone.
#pragma once
#include <cstdint>

namespace foveate {

// Calls job(context, n, thread) for n in [0, jobs), in any order, thread in [0, threads). Returns when all
// are done. An exception in a job is thrown again here, after the others have stopped.
void parallel_for(int64_t jobs, int threads, void (*job)(void*, int64_t, int), void* context);

}  // namespace foveate
