#include <cstdlib>
#include <cstring>
#include <vector>

#include "dispatch.hpp"
#include "info.hpp"
#include "registry.hpp"

namespace nb = nanobind;

namespace lhcflow {

static std::vector<Register::Function>& functions() {
  static std::vector<Register::Function> list;
  return list;
}

Register::Register(Function f) { functions().push_back(f); }

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

NB_MODULE(_core, m) {
  m.doc() = "Native kernels of lhcflow; each has a torch or numpy twin.";
  m.def("instruction_set", [] { return lhcflow::isa_name(lhcflow::active_isa()); },
        "Name of the instruction set in use: baseline, avx2 or avx512.");
  m.def("vector_bytes", [] { return LHCFLOW_PICK(build_info).vector_bytes; },
        "Width in bytes of the vectors that the kernels in use were compiled for.");
  m.def("compiler", [] { return LHCFLOW_PICK(build_info).compiler; }, "Version of the compiler of the kernels.");
  for (auto f : lhcflow::functions()) f(m);
}
