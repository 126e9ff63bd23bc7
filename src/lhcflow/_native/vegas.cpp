// Python side of vegas.hpp. Shapes are checked here, so that a wrong call can't write outside of an array.
#include "vegas.hpp"

#include <nanobind/ndarray.h>

#include <algorithm>
#include <stdexcept>
#include <thread>
#include <vector>

#include "registry.hpp"

namespace nb = nanobind;

namespace lhcflow {
namespace {

template <class T, int N>
using In = nb::ndarray<const T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <class T, int N>
using Out = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;

void require(bool good) {
  if (!good) throw std::invalid_argument("vegas kernels: arrays do not fit together");
}

VegasGrid grid_of(const In<double, 2>& edges) {
  require(edges.shape(1) >= 2 && edges.shape(1) <= 65537);
  return {int(edges.shape(0)), int(edges.shape(1)) - 1, edges.data()};
}

void draw(In<double, 2> edges, In<std::int64_t, 1> divisions, In<std::int64_t, 1> stratum, In<std::int64_t, 1> count,
          In<double, 1> scale, std::uint64_t key, std::uint64_t first, Out<double, 2> x, Out<double, 1> weight,
          Out<std::uint16_t, 2> index, int threads) {
  const VegasGrid grid = grid_of(edges);
  const std::ptrdiff_t groups = std::ptrdiff_t(stratum.shape(0)), dim = grid.dim;
  std::vector<std::int64_t> before(groups + 1, 0);
  require(std::ptrdiff_t(count.shape(0)) == groups && std::ptrdiff_t(scale.shape(0)) == groups &&
          std::ptrdiff_t(divisions.shape(0)) == dim);
  for (std::ptrdiff_t g = 0; g < groups; ++g) {
    require(count(g) >= 0);
    before[g + 1] = before[g] + count(g);
  }
  const std::size_t n = std::size_t(before[groups]);
  require(x.shape(0) == n && weight.shape(0) == n && index.shape(0) == n && x.shape(1) == std::size_t(dim) &&
          index.shape(1) == std::size_t(dim));
  nb::gil_scoped_release release;
  const auto part = [&](std::ptrdiff_t from, std::ptrdiff_t to) {
    const VegasGroups some = {divisions.data(),    stratum.data() + from, count.data() + from,
                              scale.data() + from, key,                   first + std::uint64_t(before[from])};
    LHCFLOW_PICK(vegas_kernels)
        .draw(grid, some, to - from, x.data() + before[from] * dim, weight.data() + before[from],
              index.data() + before[from] * dim);
  };
  const std::ptrdiff_t parts = std::clamp<std::ptrdiff_t>(threads, 1, std::max<std::ptrdiff_t>(groups, 1));
  std::vector<std::thread> others;
  for (std::ptrdiff_t t = 1; t < parts; ++t) others.emplace_back(part, t * groups / parts, (t + 1) * groups / parts);
  part(0, groups / parts);
  for (auto& thread : others) thread.join();
}

void accumulate(In<double, 2> values, In<double, 1> weight, In<std::uint16_t, 2> index, In<std::int64_t, 1> stratum,
                In<std::int64_t, 1> count, In<double, 1> sizes, Out<double, 1> mean, Out<double, 2> covariance,
                Out<double, 2> moments, Out<double, 3> histogram) {
  const std::size_t n = values.shape(0), m = values.shape(1), groups = stratum.shape(0);
  require(m >= 1 && weight.shape(0) == n && index.shape(0) == n && count.shape(0) == groups &&
          sizes.shape(0) == groups && mean.shape(0) == m && covariance.shape(0) == m && covariance.shape(1) == m &&
          histogram.shape(0) == index.shape(1) && histogram.shape(2) == 2 &&
          moments.shape(1) == 3);
  std::int64_t total = 0;
  for (std::size_t g = 0; g < groups; ++g) {
    require(count(g) >= 0 && stratum(g) >= 0 && std::size_t(stratum(g)) < moments.shape(0));
    total += count(g);
  }
  require(std::size_t(total) == n);
  const VegasGrid grid = {int(histogram.shape(0)), int(histogram.shape(1)), nullptr};
  const std::size_t size = n * index.shape(1);
  const auto highest = size ? *std::max_element(index.data(), index.data() + size) : 0;
  require(highest < grid.bins);
  const VegasSums sums = {int(m), mean.data(), covariance.data(), moments.data(), histogram.data()};
  nb::gil_scoped_release release;
  LHCFLOW_PICK(vegas_kernels)
      .accumulate(grid, sums, values.data(), weight.data(), index.data(), stratum.data(), count.data(), sizes.data(),
                  std::ptrdiff_t(groups));
}

void map(In<double, 2> edges, In<double, 2> y, Out<double, 2> x, Out<double, 1> jacobian) {
  const VegasGrid grid = grid_of(edges);
  require(y.shape(1) == edges.shape(0) && x.shape(0) == y.shape(0) && x.shape(1) == y.shape(1) &&
          jacobian.shape(0) == y.shape(0));
  nb::gil_scoped_release release;
  LHCFLOW_PICK(vegas_kernels).map(grid, y.data(), std::ptrdiff_t(y.shape(0)), x.data(), jacobian.data());
}

const Register registration([](nb::module_& m) {
  m.def("vegas_draw", &draw, nb::arg("edges"), nb::arg("divisions"), nb::arg("stratum"), nb::arg("count"),
        nb::arg("scale"), nb::arg("key"), nb::arg("first"), nb::arg("x"), nb::arg("weight"), nb::arg("index"),
        nb::arg("threads"), "Points of the strata of VEGAS+; see integration/vegas_kernels.py.");
  m.def("vegas_accumulate", &accumulate, nb::arg("values"), nb::arg("weight"), nb::arg("index"), nb::arg("stratum"),
        nb::arg("count"), nb::arg("sizes"), nb::arg("mean"), nb::arg("covariance"), nb::arg("moments"),
        nb::arg("histogram"), "Sums of an iteration of VEGAS+; see integration/vegas_kernels.py.");
  m.def("vegas_map", &map, nb::arg("edges"), nb::arg("y"), nb::arg("x"), nb::arg("jacobian"),
        "The map of a VEGAS grid; see integration/vegas_map.py.");
});

}  // namespace
}  // namespace lhcflow
