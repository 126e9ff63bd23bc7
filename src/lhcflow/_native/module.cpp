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
