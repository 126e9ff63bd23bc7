// Rational-quadratic splines on arrays: one spline per element, parameters (n, count) row by row.
#pragma once

#include <cstddef>

#include "dispatch.hpp"
#include "spline_settings.hpp"

namespace lhcflow {

// `work` holds workspace(settings) bytes, aligned to 64.
template <class T> struct SplineKernel {
  std::size_t (*workspace)(const SplineSettings&);
  void (*apply)(const SplineSettings&, bool inverse, std::ptrdiff_t n, const T* x, const T* params, T* y,
                T* log_det, void* work);
  void (*gradient)(const SplineSettings&, bool inverse, std::ptrdiff_t n, const T* x, const T* params,
                   const T* grad_y, const T* grad_log_det, T* grad_x, T* grad_params, void* work);
};

struct SplineKernels {
  SplineKernel<float> f32;
  SplineKernel<double> f64;
};

}  // namespace lhcflow

LHCFLOW_DECLARE_TABLE(SplineKernels, spline_kernels)
