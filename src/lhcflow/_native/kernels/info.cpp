#include "info.hpp"

namespace lhcflow::LHCFLOW_ISA {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

const BuildInfo build_info = {vector_bytes, __VERSION__};

}  // namespace lhcflow::LHCFLOW_ISA
