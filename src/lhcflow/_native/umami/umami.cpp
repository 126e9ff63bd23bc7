// The amplitudes of one process with the UMAMI C interface (version 1: docs of MadGraph7 and madspace, 2507.21039).
//
// The process stands in `card`, which processes/umami.py fills in a copy of this library: numbers as text, in
// the order in which `Card` reads them. Nothing here knows Python, so that any program can load the copy.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <vector>

#include "amplitudes.hpp"

namespace {

enum Status { success, error, not_implemented, unsupported_input, unsupported_output, unsupported_meta, missing_input };
enum MetaKey { meta_device, meta_particles, meta_diagrams, meta_helicities, meta_colours };
enum InputKey {
  in_momenta, in_alpha_s, in_flavour, in_random_colour, in_random_helicity, in_random_diagram, in_helicity, in_diagram
};
enum OutputKey { out_square, out_diagram_squares, out_colour, out_helicity, out_diagram };

constexpr int marker = 19;  // length of what processes/umami.py looks for
volatile char card[8192] = "LHCFLOW-UMAMI-CARD:";

struct Card {
  lhcflow::AmplitudeTable table{};
  double alpha_s = 0;
  int power = 0;
  std::vector<int> leading;  // flows that events may have
  bool good = false;

  Card() {
    const std::vector<char> text(card + marker, card + sizeof card);
    const char* at = text.data();
    const auto number = [&] {
      char* next;
      const double value = std::strtod(at, &next);
      good = good && next != at;
      at = next;
      return value;
    };
    good = text.back() == 0;  // so strtod stops
    auto& t = table;
    for (int* i : {&t.lines, &t.particles, &t.gluons, &t.flows}) *i = int(number());
    good = good && t.lines >= 1 && t.lines <= 2 && t.gluons >= 0 && t.gluons <= lhcflow::amplitude_max_gluons &&
           t.flows >= 1 && t.flows <= lhcflow::amplitude_max_flows;
    if (!good) return;
    for (int i = 0; i < t.lines; ++i) t.start[i] = int(number());
    for (int i = 0; i < t.lines; ++i) t.end[i] = int(number());
    for (int i = 0; i < t.gluons; ++i) t.gluon[i] = int(number());
    t.lepton_start = int(number());
    t.lepton_end = int(number());
    for (auto* couplings : {&t.photon, &t.heavy})
      for (int pairing = 0; pairing < t.lines; ++pairing)
        for (int line = 0; line < t.lines; ++line)
          for (int k = 0; k < 4; ++k) (*couplings)[pairing][line][k / 2][k % 2] = number();
    for (double* x : {&t.mass, &t.width, &t.normalisation}) *x = number();
    for (int i = 0; i < t.flows; ++i)
      for (int j = 0; j < t.flows; ++j) t.colour[i][j] = number();
    alpha_s = number();
    power = int(number());
    leading.resize(std::clamp(int(number()), 0, t.flows));
    for (int& flow : leading) flow = std::clamp(int(number()), 0, t.flows - 1);
    good = good && !leading.empty();
  }
};

const Card& process() {
  static const Card one;
  return one;
}

struct Request {
  const double *momenta = nullptr, *alpha_s = nullptr, *random_colour = nullptr;
  double* square = nullptr;
  int *colour = nullptr, *helicity = nullptr, *diagram = nullptr;
};

// Events offset .. offset + count - 1 of arrays with `stride` events.
void evaluate(const Card& c, std::size_t count, std::size_t stride, std::size_t offset, const Request& r) {
  constexpr std::size_t block = 256;
  const auto& t = c.table;
  const std::size_t numbers = std::size_t(t.particles) * 4;
  std::vector<double> momenta(block * numbers), squares(block), flows(r.colour ? block * t.flows : 0);
  for (std::size_t start = 0; start < count; start += block) {
    const std::size_t n = std::min(block, count - start), first = offset + start;
    for (std::size_t k = 0; k < numbers; ++k) {
      const std::size_t mu = k % 4, particle = k / 4;
      const double* from = r.momenta + (mu * t.particles + particle) * stride + first;
      for (std::size_t i = 0; i < n; ++i) momenta[i * numbers + k] = from[i];
    }
    LHCFLOW_PICK(amplitude_kernels)
        .squares(t, momenta.data(), nullptr, std::ptrdiff_t(n), squares.data(), r.colour ? flows.data() : nullptr);
    for (std::size_t i = 0; i < n; ++i) {
      const double g2 = 12.566370614359172954 * (r.alpha_s ? r.alpha_s[first + i] : c.alpha_s);
      if (r.square) r.square[first + i] = squares[i] * std::pow(g2, c.power);
      if (r.helicity) r.helicity[first + i] = 0;
      if (r.diagram) r.diagram[first + i] = 0;
      if (!r.colour) continue;
      double total = 0;
      for (int flow : c.leading) total += flows[i * t.flows + flow];
      double rest = r.random_colour[first + i] * total;
      int chosen = 0;
      while (chosen + 1 < int(c.leading.size()) && (rest -= flows[i * t.flows + c.leading[chosen]]) >= 0) ++chosen;
      r.colour[first + i] = chosen;
    }
  }
}

}  // namespace

#define LHCFLOW_EXPORT extern "C" __attribute__((visibility("default")))

LHCFLOW_EXPORT int umami_get_meta(int key, void* result) {
  if (!result || !process().good) return error;
  int* value = static_cast<int*>(result);
  switch (key) {
    case meta_device: *value = 0; return success;  // CPU
    case meta_particles: *value = process().table.particles; return success;
    case meta_diagrams:                              // all in one
    case meta_helicities: *value = 1; return success;  // summed over
    case meta_colours: *value = int(process().leading.size()); return success;
    default: return unsupported_meta;
  }
}

LHCFLOW_EXPORT int umami_supported_inputs(const bool** supported, int* count) {
  static const bool known[] = {true, true, true, true, true, true, false, false};
  if (!supported || !count) return error;
  *supported = known;
  *count = 8;
  return success;
}

LHCFLOW_EXPORT int umami_required_inputs(const bool** required, int* count) {
  static const bool needed[] = {true, false, false, false, false, false, false, false};
  if (!required || !count) return error;
  *required = needed;
  *count = 8;
  return success;
}

LHCFLOW_EXPORT int umami_supported_outputs(const bool** supported, int* count) {
  static const bool known[] = {true, false, true, true, true};
  if (!supported || !count) return error;
  *supported = known;
  *count = 5;
  return success;
}

// All parameters are in the library already.
LHCFLOW_EXPORT int umami_initialize(void** handle, const char*) {
  if (!handle || !process().good) return error;
  *handle = const_cast<Card*>(&process());
  return success;
}

LHCFLOW_EXPORT int umami_set_parameter(void*, const char*, double, double) { return not_implemented; }
LHCFLOW_EXPORT int umami_get_parameter(void*, const char*, double*, double*) { return not_implemented; }

LHCFLOW_EXPORT int umami_matrix_element(void* handle, std::size_t count, std::size_t stride, std::size_t offset,
                                        std::size_t inputs, const int* input_keys, const void* const* input,
                                        std::size_t outputs, const int* output_keys, void* const* output) {
  if (!handle || offset + count > stride) return error;
  Request r;
  for (std::size_t i = 0; i < inputs; ++i) switch (input_keys[i]) {
      case in_momenta: r.momenta = static_cast<const double*>(input[i]); break;
      case in_alpha_s: r.alpha_s = static_cast<const double*>(input[i]); break;
      case in_random_colour: r.random_colour = static_cast<const double*>(input[i]); break;
      case in_flavour:          // there is one
      case in_random_helicity:  // nothing is drawn
      case in_random_diagram: break;
      default: return unsupported_input;
    }
  for (std::size_t i = 0; i < outputs; ++i) switch (output_keys[i]) {
      case out_square: r.square = static_cast<double*>(output[i]); break;
      case out_colour: r.colour = static_cast<int*>(output[i]); break;
      case out_helicity: r.helicity = static_cast<int*>(output[i]); break;
      case out_diagram: r.diagram = static_cast<int*>(output[i]); break;
      default: return unsupported_output;
    }
  if (!r.momenta || (r.colour && !r.random_colour)) return missing_input;
  evaluate(*static_cast<const Card*>(handle), count, stride, offset, r);
  return success;
}

LHCFLOW_EXPORT int umami_free(void*) { return success; }
