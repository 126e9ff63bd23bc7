// The inner loops of VEGAS+ (integration/vegas_kernels.py says what they compute, in numpy).
#pragma once

#include <cstddef>
#include <cstdint>

#include "dispatch.hpp"

namespace lhcflow {

// The importance grid: edges are (dim, bins + 1).
struct VegasGrid {
  int dim, bins;
  const double* edges;
};

// Groups of points, each within one stratum of the latent cube; `first` counts the points of the
// iteration before the first one here, and with `key` fixes the random numbers.
struct VegasGroups {
  const std::int64_t* divisions;  // (dim) strata along each dimension
  const std::int64_t* stratum;    // (groups)
  const std::int64_t* count;
  const double* scale;            // weight of a point is this times the Jacobian
  std::uint64_t key, first;
};

struct VegasSums {
  int components;        // of the integrand
  double* mean;          // (components)
  double* covariance;    // (components, components)
  double* moments;       // (strata, 3): variance, mean and largest |weight| within the stratum
  double* histogram;     // (dim, bins, 2): sum of squares, hits
};

struct VegasKernels {
  // x (n, dim), weight (n), index (n, dim) of the points of `groups` groups.
  void (*draw)(const VegasGrid&, const VegasGroups&, std::ptrdiff_t groups, double* x, double* weight,
               std::uint16_t* index);
  // values (n, components); sizes (groups): points in the whole stratum of each group.
  void (*accumulate)(const VegasGrid&, const VegasSums&, const double* values, const double* weight,
                     const std::uint16_t* index, const std::int64_t* stratum, const std::int64_t* count,
                     const double* sizes, std::ptrdiff_t groups);
  // y (n, dim) in the latent cube to x (n, dim) and the Jacobian (n).
  void (*map)(const VegasGrid&, const double* y, std::ptrdiff_t n, double* x, double* jacobian);
};

}  // namespace lhcflow

LHCFLOW_DECLARE_TABLE(VegasKernels, vegas_kernels)
