// Workers sleep on a condition variable and spin a little before that: calls of one attention follow
// each other within microseconds. The pool only grows; after fork() it starts afresh in the child.
#include "threads.h"

#include <pthread.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace foveate {
namespace {

inline void pause_a_little() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

constexpr int kSpins = 2000;  // about 30 µs

struct Work {
  int64_t jobs = 0;
  int threads = 0;
  void (*job)(void*, int64_t, int) = nullptr;
  void* context = nullptr;
  std::atomic<int64_t> next{0};
  std::atomic<int> busy{0};
  std::exception_ptr error;
  std::mutex error_lock;

  void run(int thread) {
    for (;;) {
      const int64_t n = next.fetch_add(1, std::memory_order_relaxed);
      if (n >= jobs) return;
      try {
        job(context, n, thread);
      } catch (...) {
        std::lock_guard<std::mutex> hold(error_lock);
        if (!error) error = std::current_exception();
        next.store(jobs, std::memory_order_relaxed);
      }
    }
  }
};

class Pool {
 public:
  void run(Work& work) {
    while ((int)workers_.size() < work.threads - 1) {
      const int index = (int)workers_.size() + 1;
      // a new worker waits for the next turn: the work of the last one is gone
      workers_.emplace_back([this, index, seen = turn_.load()] { loop(index, seen); });
      workers_.back().detach();
    }
    {
      std::lock_guard<std::mutex> hold(lock_);
      work.busy.store((int)workers_.size(), std::memory_order_relaxed);
      work_ = &work;
      turn_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    work.run(0);
    while (work.busy.load(std::memory_order_acquire) > 0) std::this_thread::yield();
  }

  std::mutex& gate() { return gate_; }

 private:
  void loop(int index, uint64_t seen) {
    for (;;) {
      for (int i = 0; i < kSpins && turn_.load(std::memory_order_acquire) == seen; ++i) pause_a_little();
      Work* work;
      {
        std::unique_lock<std::mutex> hold(lock_);
        wake_.wait(hold, [&] { return turn_.load(std::memory_order_relaxed) != seen; });
        seen = turn_.load(std::memory_order_relaxed);
        work = work_;
      }
      if (index < work->threads) work->run(index);
      work->busy.fetch_sub(1, std::memory_order_release);
    }
  }

  std::mutex gate_, lock_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
  std::atomic<uint64_t> turn_{0};
  Work* work_ = nullptr;
};

Pool* pool = nullptr;
std::mutex pool_lock;

Pool& the_pool() {
  // A fork keeps only the thread that called it: the child begins with no workers. Said once; children
  // inherit it.
  static const int said = pthread_atfork([] { pool_lock.lock(); }, [] { pool_lock.unlock(); },
                                         [] {
                                           pool = nullptr;
                                           pool_lock.unlock();
                                         });
  (void)said;
  std::lock_guard<std::mutex> hold(pool_lock);
  if (!pool) pool = new Pool;  // never destroyed: workers may outlive main()
  return *pool;
}

}  // namespace

void parallel_for(int64_t jobs, int threads, void (*job)(void*, int64_t, int), void* context) {
  if (jobs <= 0) return;
  if (threads > jobs) threads = (int)jobs;
  if (threads > 1) {
    Pool& p = the_pool();
    std::unique_lock<std::mutex> hold(p.gate(), std::try_to_lock);
    if (hold.owns_lock()) {
      Work work;
      work.jobs = jobs, work.threads = threads, work.job = job, work.context = context;
      p.run(work);
      if (work.error) std::rethrow_exception(work.error);
      return;
    }
  }
  for (int64_t n = 0; n < jobs; ++n) job(context, n, 0);
}

}  // namespace foveate
