// Each binding file adds its functions to the module by one static Register object.
#pragma once
#include <nanobind/nanobind.h>

namespace lhcflow {

struct Register {
  using Function = void (*)(nanobind::module_&);
  explicit Register(Function f);
};

}  // namespace lhcflow
