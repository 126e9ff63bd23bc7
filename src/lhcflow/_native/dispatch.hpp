// Which build of the kernels runs. Each file in kernels/ is compiled once per instruction set inside
// `namespace LHCFLOW_ISA` and exports a table of function pointers; LHCFLOW_PICK returns the best
// table this processor can run (or the one named by the environment variable LHCFLOW_ISA).
#pragma once

namespace lhcflow {

enum class Isa { baseline = 0, avx2 = 1, avx512 = 2 };

Isa active_isa();
const char* isa_name(Isa isa);

}  // namespace lhcflow

#if defined(LHCFLOW_HAVE_AVX2)
#define LHCFLOW_DECLARE_TABLE(Type, name)              \
  namespace lhcflow {                                  \
  namespace baseline { extern const Type name; }       \
  namespace avx2 { extern const Type name; }           \
  namespace avx512 { extern const Type name; }         \
  }
#define LHCFLOW_PICK(name)                                                  \
  (::lhcflow::active_isa() == ::lhcflow::Isa::avx512 ? ::lhcflow::avx512::name \
   : ::lhcflow::active_isa() == ::lhcflow::Isa::avx2 ? ::lhcflow::avx2::name   \
                                                     : ::lhcflow::baseline::name)
#else
#define LHCFLOW_DECLARE_TABLE(Type, name) \
  namespace lhcflow {                     \
  namespace baseline { extern const Type name; } \
  }
#define LHCFLOW_PICK(name) (::lhcflow::baseline::name)
#endif
