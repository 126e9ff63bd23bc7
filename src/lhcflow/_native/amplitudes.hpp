// Squared amplitudes of a lepton pair, one or two quark lines and gluons (processes/berends_giele.py says
// what is computed, in numpy; processes/structure.py what the numbers of the legs mean).
#pragma once

#include <cstddef>

#include "dispatch.hpp"

namespace lhcflow {

inline constexpr int amplitude_max_gluons = 3, amplitude_max_flows = 6;

// One process: which leg is what, couplings, colour.
struct AmplitudeTable {
  int particles, lines, gluons, flows;
  int start[2], end[2];  // second pairing: each start to the other end
  int gluon[amplitude_max_gluons];
  int lepton_start, lepton_end;
  // By pairing, line, chirality of that line (left, right) and of the leptons.
  double photon[2][2][2][2], heavy[2][2][2][2];
  double mass, width, normalisation;
  double colour[amplitude_max_flows][amplitude_max_flows];
};

struct AmplitudeKernels {
  // momenta: [n][particles][4]; polarisations: null for the sum over gluon polarisations, or [n][gluons][2],
  // cosine and sine of the angle of one linear polarisation; squares: [n]; flows: null or [n][flows].
  void (*squares)(const AmplitudeTable& table, const double* momenta, const double* polarisations, std::ptrdiff_t n,
                  double* squares, double* flows);
};

}  // namespace lhcflow

LHCFLOW_DECLARE_TABLE(AmplitudeKernels, amplitude_kernels)
