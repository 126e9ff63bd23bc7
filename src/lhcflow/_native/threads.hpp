// Splits a loop over threads. Which thread gets which index does not matter where results are written per
// index, so callers get the same numbers for every number of threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace lhcflow {

// Calls f(index, thread) for index in 0..count-1, with thread in 0..threads-1.
template <class F> void parallel_for(std::ptrdiff_t count, int threads, F&& f) {
  if (threads > count) threads = static_cast<int>(count);
  if (threads <= 1) {
    for (std::ptrdiff_t i = 0; i < count; ++i) f(i, 0);
    return;
  }
  std::atomic<std::ptrdiff_t> next{0};
  const auto loop = [&](int thread) {
    for (std::ptrdiff_t i; (i = next.fetch_add(1)) < count;) f(i, thread);
  };
  std::vector<std::thread> pool;
  for (int t = 1; t < threads; ++t) pool.emplace_back(loop, t);
  loop(0);
  for (auto& thread : pool) thread.join();
}

}  // namespace lhcflow
