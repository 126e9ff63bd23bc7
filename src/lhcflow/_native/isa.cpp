// The instruction set of this processor.
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "dispatch.hpp"

namespace lhcflow {

static Isa detect() {
  Isa best = Isa::baseline;
#if defined(LHCFLOW_HAVE_AVX2)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = Isa::avx2;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
    best = Isa::avx512;
#endif
  if (const char* wanted = std::getenv("LHCFLOW_ISA"))
    for (Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512})
      if (isa <= best && std::strcmp(wanted, isa_name(isa)) == 0) return isa;
  return best;
}

Isa active_isa() {
  static const Isa isa = detect();
  return isa;
}

const char* isa_name(Isa isa) {
  return isa == Isa::avx512 ? "avx512" : isa == Isa::avx2 ? "avx2" : "baseline";
}

}  // namespace lhcflow
