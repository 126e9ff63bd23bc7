// Memory for kernels: aligned to a cache line, freed with its owner, not initialised.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace lhcflow {

struct AlignedDelete {
  void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t(64)); }
};
using AlignedBytes = std::unique_ptr<std::byte[], AlignedDelete>;

inline AlignedBytes aligned_bytes(std::size_t bytes) {
  return AlignedBytes(new (std::align_val_t(64)) std::byte[bytes ? bytes : 1]);
}

}  // namespace lhcflow
