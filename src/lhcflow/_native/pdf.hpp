// Bicubic interpolation of parton densities (processes/pdf_kernels.py says what is computed, in numpy).
#pragma once

#include <cstddef>

#include "dispatch.hpp"

namespace lhcflow {

inline constexpr int pdf_columns = 14, pdf_padded = 16;

// Knots, and two factors for each cell on its lower and its upper side.
struct PdfAxis {
  std::ptrdiff_t n;
  const double *knots, *before, *after;
};

struct PdfKernels {
  // values: [q.n][x.n][pdf_padded]; out: [n][pdf_columns].
  void (*interpolate)(const PdfAxis& x, const PdfAxis& q, const double* values, const double* at_x, const double* at_q,
                      std::ptrdiff_t n, double* out);
};

}  // namespace lhcflow

LHCFLOW_DECLARE_TABLE(PdfKernels, pdf_kernels)
