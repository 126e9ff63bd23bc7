// What a build of the kernels was compiled for; shown by `lhcflow doctor`.
#pragma once
#include "dispatch.hpp"

namespace lhcflow {
struct BuildInfo {
  int vector_bytes;
  const char* compiler;
};
}  // namespace lhcflow

LHCFLOW_DECLARE_TABLE(BuildInfo, build_info)
