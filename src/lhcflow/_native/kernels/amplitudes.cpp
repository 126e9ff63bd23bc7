#include "amplitudes.hpp"

#include <algorithm>
#include <cstring>

#include "amplitude_one_line.hpp"
#include "amplitude_two_lines.hpp"

namespace lhcflow::LHCFLOW_ISA {
namespace {

constexpr int width = lanes<double>, max_particles = 7;

template <int gluons, int pols>
void one_line(const AmplitudeTable& t, const double* momenta, const double* angles, V& total, V* squares) {
  const Event<gluons, pols> event(t, momenta, angles);
  OneLine<gluons, pols> line(event);
  for (int lepton = 0; lepton < 2; ++lepton) {
    // Reversing all helicities conjugates the amplitude but for the coupling.
    const bool here = exists(t, 0, 0, 0, lepton), there = exists(t, 0, 0, 1, 1 - lepton);
    V weight = V{};
    if (here) weight += norm(event.coupling(t, 0, 0, 0, lepton));
    if (there) weight += norm(event.coupling(t, 0, 0, 1, 1 - lepton));
    if (here || there) line.add(t, event.boson[lepton], weight, total, squares);
  }
}

template <int gluons, int pols>
void two_lines(const AmplitudeTable& t, const double* momenta, const double* angles, V& total, V* squares) {
  const Event<gluons, pols> event(t, momenta, angles);
  TwoLines<gluons, pols>(t, event).add(total, squares);
}

using Function = void (*)(const AmplitudeTable&, const double*, const double*, V&, V*);

Function choose(const AmplitudeTable& t, bool sampled) {
  static constexpr Function summed_1[] = {one_line<0, 2>, one_line<1, 2>, one_line<2, 2>, one_line<3, 2>};
  static constexpr Function sampled_1[] = {one_line<0, 1>, one_line<1, 1>, one_line<2, 1>, one_line<3, 1>};
  static constexpr Function summed_2[] = {two_lines<0, 2>, two_lines<1, 2>};
  static constexpr Function sampled_2[] = {two_lines<0, 1>, two_lines<1, 1>};
  if (t.lines == 1) return (sampled ? sampled_1 : summed_1)[t.gluons];
  return (sampled ? sampled_2 : summed_2)[t.gluons];
}

void squares(const AmplitudeTable& t, const double* momenta, const double* polarisations, std::ptrdiff_t n, double* out,
             double* flows) {
  const Function f = choose(t, polarisations != nullptr);
  double scale = t.normalisation;
  for (int i = 0; i < t.gluons + 2 * (t.lines - 1); ++i) scale /= 2;  // 1 / sqrt(2) at each vertex
  for (int i = 0; i < t.gluons; ++i) scale *= polarisations ? 2 : 1;  // one polarisation for two
  const int per_event = t.particles * 4, per_angle = t.gluons * 2;
  double last[width * max_particles * 4], last_angles[width * amplitude_max_gluons * 2];
  for (std::ptrdiff_t start = 0; start < n; start += width) {
    const int count = int(std::min<std::ptrdiff_t>(width, n - start));
    const double* p = momenta + start * per_event;
    const double* angles = polarisations ? polarisations + start * per_angle : nullptr;
    if (count < width) {  // lanes without an event repeat the last one
      for (int i = 0; i < width; ++i) {
        const int from = std::min(i, count - 1);
        std::memcpy(last + i * per_event, p + from * per_event, per_event * sizeof(double));
        if (angles)
          std::memcpy(last_angles + i * per_angle, angles + from * per_angle, per_angle * sizeof(double));
      }
      p = last;
      if (angles) angles = last_angles;
    }
    V total = V{}, by_flow[amplitude_max_flows] = {};
    f(t, p, angles, total, flows ? by_flow : nullptr);
    for (int i = 0; i < count; ++i) out[start + i] = scale * total[i];
    for (int k = 0; flows && k < t.flows; ++k)
      for (int i = 0; i < count; ++i) flows[(start + i) * t.flows + k] = scale * by_flow[k][i];
  }
}

}  // namespace

const AmplitudeKernels amplitude_kernels = {squares};

}  // namespace lhcflow::LHCFLOW_ISA
