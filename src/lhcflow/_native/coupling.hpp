// Stacks of coupling layers (conditioner and spline) on tiles of samples that stay in cache.
#pragma once

#include <cstddef>

#include "dispatch.hpp"
#include "spline_settings.hpp"

namespace lhcflow {

struct CouplingLayer {
  int passed, transformed;              // numbers of dimensions
  const int* passed_index;
  const int* transformed_index;
  int linears;                          // linear layers of the conditioner
  const int* sizes;                     // [linears + 1]: features + context, hidden widths, outputs
  SplineSettings spline;
  double scale, offset;                 // the conditioner sees scale * x + offset
  double negative_slope;                // of the activation; 0 is ReLU
  const void* const* parameters;        // weight [out][in], bias [out] of each linear layer in turn
};

// One call: all layers, in the order of the list (or backwards for the inverse), on rows of samples.
struct CouplingTask {
  const CouplingLayer* layers;
  int count, dim, context;
  bool inverse;
  const void* x;                        // (n, dim)
  const void* conditions;               // (n, context) or null
  void* y;                              // (n, dim)
  void* log_det;                        // (n)
  const void* grad_y;                   // (n, dim); the last five only for gradients
  const void* grad_log_det;             // (n)
  void* grad_x;                         // (n, dim)
  void* grad_conditions;                // (n, context) or null
};

// `sums` collects the gradient of all parameters over the rows that one call works on: in the order of
// the layers, weight rows padded to whole vectors, then the bias, padded too.
struct CouplingKernels {
  std::size_t (*workspace)(const CouplingTask&, bool gradient);  // bytes, to be aligned to 64
  std::size_t (*sums)(const CouplingTask&);                      // elements
  void (*apply)(const CouplingTask&, std::ptrdiff_t begin, std::ptrdiff_t end, void* work);
  void (*gradient)(const CouplingTask&, std::ptrdiff_t begin, std::ptrdiff_t end, void* work, void* sums);
  // Adds `sums` to the gradients, one array for each of the parameters of all layers.
  void (*collect)(const CouplingTask&, const void* sums, void* const* gradients);
};

struct CouplingTables {
  CouplingKernels f32, f64;
};

}  // namespace lhcflow

LHCFLOW_DECLARE_TABLE(CouplingTables, coupling_tables)
