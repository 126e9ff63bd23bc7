#include "pdf.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "simd.hpp"

namespace lhcflow::LHCFLOW_ISA {
namespace {

using V = Vec<double>;
constexpr int width = lanes<double>, vectors = pdf_padded / width;
constexpr int block = 64;  // points whose logarithms are taken together

struct Place {
  std::ptrdiff_t at[4];
  double weight[4];
};

// The cell of `position`, and the weights of the four knots around it.
LHCFLOW_INLINE Place place(const PdfAxis& axis, double position) {
  const double* knots = axis.knots;
  position = std::min(std::max(position, knots[0]), knots[axis.n - 1]);
  std::ptrdiff_t low = 0, size = axis.n - 1;  // the last i in 0..n-2 with knots[i] <= position
  while (size > 1) {
    const std::ptrdiff_t half = size / 2;
    low += knots[low + half] <= position ? half : 0;
    size -= half;
  }
  const double t = (position - knots[low]) / (knots[low + 1] - knots[low]), t2 = t * t, t3 = t2 * t;
  const double *before = axis.before + 2 * low, *after = axis.after + 2 * low;
  const double d_low = (t3 - 2 * t2 + t) * before[0], d_high = (t3 - t2) * after[0];
  Place p;
  for (int k = 0; k < 4; ++k) p.at[k] = std::clamp<std::ptrdiff_t>(low + k - 1, 0, axis.n - 1);
  p.weight[0] = -d_low * before[1];
  p.weight[3] = d_high * after[1];
  p.weight[1] = 2 * t3 - 3 * t2 + 1 - d_low - d_high - p.weight[0];
  p.weight[2] = 3 * t2 - 2 * t3 + d_low + d_high - p.weight[3];
  return p;
}

void interpolate(const PdfAxis& x, const PdfAxis& q, const double* values, const double* at_x, const double* at_q,
                 std::ptrdiff_t n, double* out) {
  alignas(64) double log_x[block], log_q[block], row[pdf_padded];
  for (std::ptrdiff_t start = 0; start < n; start += block) {
    const int count = int(std::min<std::ptrdiff_t>(block, n - start));
    for (int i = 0; i < block; ++i) {
      log_x[i] = i < count ? at_x[start + i] : 1.0;
      log_q[i] = i < count ? at_q[start + i] : 1.0;
    }
    for (int i = 0; i < block; i += width) {
      store(log_x + i, vlog<double>(load(log_x + i)));
      store(log_q + i, vlog<double>(load(log_q + i)));
    }
    for (int i = 0; i < count; ++i, out += pdf_columns) {
      if (at_x[start + i] >= 1) {
        std::fill(out, out + pdf_columns, 0.0);
        continue;
      }
      const Place px = place(x, log_x[i]), pq = place(q, 2 * log_q[i]);
      V total[vectors] = {};
      for (int k = 0; k < 4; ++k) {
        const double* plane = values + pq.at[k] * x.n * pdf_padded;
        for (int m = 0; m < 4; ++m) {
          const double* from = plane + px.at[m] * pdf_padded;
          const V weight = splat(pq.weight[k] * px.weight[m]);
          for (int v = 0; v < vectors; ++v) total[v] += weight * load(from + v * width);
        }
      }
      for (int v = 0; v < vectors; ++v) store(row + v * width, total[v]);
      std::memcpy(out, row, pdf_columns * sizeof(double));
    }
  }
}

}  // namespace

const PdfKernels pdf_kernels = {interpolate};

}  // namespace lhcflow::LHCFLOW_ISA
