// Masked autoregressive flows: the direction in which each dimension needs the ones before it.
//
// Hidden units are sorted by MADE degree; a unit of degree d sees the first d dimensions. When
// dimension i is known, exactly the units of degree i + 1 become computable, so all D dimensions
// cost one masked pass. MafProgram points into one buffer with the weights in the order of use.
#pragma once
#include <cstddef>

#include "dispatch.hpp"
#include "spline_settings.hpp"

namespace lhcflow {

enum class MafActivation { relu, leaky_relu, silu, elu, tanh };
enum class MafElement { spline, affine_softplus, affine_sigmoid };

template <class T>
struct MafLayer {
  int units;
  const int* upto;                // [dim] units with degree <= d
  const std::ptrdiff_t* offset;   // [dim] where in `weight` the rows of the units of degree d begin
  const T* weight;                // rows of degree d, each over the inputs that they see
  const T* bias;                  // [units]
  int context;                    // first column of this layer in the context input, or -1
};

template <class T>
struct MafProgram {
  int dim, outputs, padded;       // `padded`: outputs rounded up, the stride of the last layer's weights
  int layers;
  bool residual;                  // even layers from 2 on add the raw value of the layer two before
  MafActivation activation;
  const MafLayer<T>* layer;
  const int* order;               // [dim] the dimensions in autoregressive order
  const std::ptrdiff_t* offset;   // [dim] where in `weight` dimension i begins
  const T* weight;                // per dimension [hidden units it sees][padded]
  const T* bias;                  // [dim][padded]
  MafElement element;
  SplineSettings spline;
  T minimum, shift;               // affine: smallest scale, and what is added to the raw one
};

// `rows` samples (at most `lanes`, a multiple of `group`): y, x are (rows, dim), context (rows, columns)
// with row stride `columns`, log_det (rows). `work` holds workspace(...) bytes, 64-byte aligned.
template <class T>
struct MafKernels {
  int group;
  std::size_t (*workspace)(const MafProgram<T>&, int lanes);
  void (*tile)(const MafProgram<T>&, const T* y, const T* context, std::ptrdiff_t columns, T* x, T* log_det,
               int rows, int lanes, bool inverse, void* work);
  void (*single)(const MafProgram<T>&, const T* y, const T* context, T* x, T* log_det, bool inverse, void* work);
};

struct MafTables {
  MafKernels<float> f32;
  MafKernels<double> f64;
};

}  // namespace lhcflow

LHCFLOW_DECLARE_TABLE(MafTables, maf_tables)
