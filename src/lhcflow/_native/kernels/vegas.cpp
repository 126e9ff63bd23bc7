// The kernels of vegas.hpp. Memory-bound scatter and gather: what helps is that a stratum's points lie in few
// bins, that random numbers are made in blocks the compiler can vectorise, and that nothing is stored twice.
#include "vegas.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace lhcflow::LHCFLOW_ISA {
namespace {

// SplitMix64 as a counter-based generator: numbers `first` to `first + n` of the stream, in (0, 1).
void uniforms(std::uint64_t key, std::uint64_t first, int n, double* out) {
  for (int i = 0; i < n; ++i) {
    std::uint64_t z = (first + std::uint64_t(i) + 1) * 0x9E3779B97F4A7C15ull + key;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    out[i] = (double(std::int64_t(z >> 12)) + 0.5) * 0x1p-52;
  }
}

inline double stretch(const VegasGrid& grid, int d, double position, double& x, int& bin) {
  bin = std::min(int(position), grid.bins - 1);
  const double* edge = grid.edges + std::ptrdiff_t(d) * (grid.bins + 1) + bin;
  const double width = edge[1] - edge[0];
  x = edge[0] + (position - bin) * width;
  return width * grid.bins;
}

void draw(const VegasGrid& grid, const VegasGroups& groups, std::ptrdiff_t n_groups, double* x, double* weight,
          std::uint16_t* index) {
  const int dim = grid.dim;
  constexpr int block = 1024;
  const int rows = std::max(block / dim, 1);
  std::vector<double> random(std::size_t(rows) * dim), ratio(dim), corner(dim);
  for (int d = 0; d < dim; ++d) ratio[d] = double(grid.bins) / double(groups.divisions[d]);
  std::int64_t total = 0, made = 0;
  for (std::ptrdiff_t g = 0; g < n_groups; ++g) total += groups.count[g];
  std::uint64_t counter = groups.first * std::uint64_t(dim);
  int row = rows;
  for (std::ptrdiff_t g = 0; g < n_groups; ++g) {
    std::int64_t rest = groups.stratum[g];
    for (int d = 0; d < dim; ++d) {
      corner[d] = double(rest % groups.divisions[d]);
      rest /= groups.divisions[d];
    }
    for (std::int64_t i = 0; i < groups.count[g]; ++i) {
      if (row == rows) {
        const int fill = int(std::min<std::int64_t>(rows, total - made)) * dim;
        uniforms(groups.key, counter, fill, random.data());
        counter += std::uint64_t(fill);
        row = 0;
      }
      const double* u = random.data() + std::ptrdiff_t(row++) * dim;
      double jacobian = groups.scale[g];
      for (int d = 0; d < dim; ++d) {
        int bin;
        jacobian *= stretch(grid, d, (corner[d] + u[d]) * ratio[d], x[d], bin);
        index[d] = std::uint16_t(bin);
      }
      *weight++ = jacobian;
      x += dim;
      index += dim;
      ++made;
    }
  }
}

void accumulate(const VegasGrid& grid, const VegasSums& sums, const double* values, const double* weight,
                const std::uint16_t* index, const std::int64_t* stratum, const std::int64_t* count,
                const double* sizes, std::ptrdiff_t groups) {
  const int m = sums.components, dim = grid.dim;
  std::vector<double> mean(m), deviation(m), square(std::size_t(m) * m);
  for (std::ptrdiff_t g = 0; g < groups; ++g) {
    const std::int64_t n = count[g];
    std::fill(mean.begin(), mean.end(), 0.0);
    std::fill(square.begin(), square.end(), 0.0);
    for (std::int64_t i = 0; i < n; ++i)
      for (int c = 0; c < m; ++c) mean[c] += weight[i] * values[i * m + c];
    for (int c = 0; c < m; ++c) {
      sums.mean[c] += mean[c];
      mean[c] /= double(n);
    }
    for (std::int64_t i = 0; i < n; ++i) {
      for (int c = 0; c < m; ++c) deviation[c] = weight[i] * values[i * m + c] - mean[c];
      for (int c = 0; c < m; ++c)
        for (int e = 0; e <= c; ++e) square[c * m + e] += deviation[c] * deviation[e];
    }
    // A group's mean has the variance n / (n - 1) sum of squares: the weights contain 1/n.
    const double factor = double(n) / double(std::max<std::int64_t>(n - 1, 1));
    for (int c = 0; c < m; ++c)
      for (int e = 0; e <= c; ++e) {
        sums.covariance[c * m + e] += factor * square[c * m + e];
        if (e < c) sums.covariance[e * m + c] += factor * square[c * m + e];
      }
    double* moments = sums.moments + 3 * stratum[g];
    moments[0] += factor * square[0] * sizes[g];
    double absolute = 0, largest = moments[2];
    for (std::int64_t i = 0; i < n; ++i) {
      const double weighted = weight[i] * values[i * m], scaled = std::abs(weighted) * sizes[g];
      const double training = scaled * scaled;
      absolute += std::abs(weighted);
      largest = std::max(largest, scaled);
      for (int d = 0; d < dim; ++d) {
        double* bin = sums.histogram + 2 * (std::ptrdiff_t(d) * grid.bins + index[d]);
        bin[0] += training;
        bin[1] += 1;
      }
      index += dim;
    }
    moments[1] += absolute;
    moments[2] = largest;
    weight += n;
    values += n * m;
  }
}

void map(const VegasGrid& grid, const double* y, std::ptrdiff_t n, double* x, double* jacobian) {
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    double product = 1;
    int bin;
    for (int d = 0; d < grid.dim; ++d)
      product *= stretch(grid, d, std::clamp(y[d], 0.0, 1.0) * grid.bins, x[d], bin);
    jacobian[i] = product;
    y += grid.dim;
    x += grid.dim;
  }
}

}  // namespace

const VegasKernels vegas_kernels = {draw, accumulate, map};

}  // namespace lhcflow::LHCFLOW_ISA
