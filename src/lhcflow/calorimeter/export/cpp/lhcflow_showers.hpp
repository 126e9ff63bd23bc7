// Showers from a CaloFlow model, teacher or student, without any library: one header, C++17.
//
// Masked autoregressive flows are solved incrementally: a hidden unit of degree d is computed once the first d
// dimensions are known, so that all dimensions together cost one pass through the network.
// The file comes from `lhcflow calo export --format cpp`. Energies are in MeV. A Model may be shared by
// threads; each call works on its own memory.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace lhcflow {

namespace detail {

class Reader {
public:
    explicit Reader(const std::string &path) : file_(path, std::ios::binary) {
        if (!file_) throw std::runtime_error("can't open " + path);
        char magic[8];
        file_.read(magic, 8);
        if (!file_ || std::string(magic, 8) != "LHCFLOW2")
            throw std::runtime_error(path + " is no model of lhcflow");
    }
    template <class T> T number() {
        T value{};
        file_.read(reinterpret_cast<char *>(&value), sizeof(T));
        check();
        return value;
    }
    template <class T> std::vector<T> array() {
        const auto size = number<std::uint64_t>();
        if (size > (std::uint64_t{1} << 32)) throw std::runtime_error("the model's file is damaged");
        std::vector<T> values(size);
        file_.read(reinterpret_cast<char *>(values.data()), static_cast<std::streamsize>(size * sizeof(T)));
        check();
        return values;
    }

private:
    void check() const {
        if (!file_) throw std::runtime_error("the model's file is truncated");
    }
    std::ifstream file_;
};

// Eight sums at once, which compilers turn into vector instructions without -ffast-math.
inline float dot(const float *a, const float *b, std::size_t n) {
    float sums[8] = {};
    std::size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; ++k) sums[k] += a[i + k] * b[i + k];
    float rest = 0;
    for (; i < n; ++i) rest += a[i] * b[i];
    for (int k = 0; k < 8; ++k) rest += sums[k];
    return rest;
}

enum class Activation : std::uint32_t { relu, leaky_relu, silu, elu, tanh };

inline float activate(Activation kind, float x) {
    switch (kind) {
    case Activation::relu: return x > 0 ? x : 0;
    case Activation::leaky_relu: return x > 0 ? x : 0.01f * x;
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::elu: return x > 0 ? x : std::expm1(x);
    case Activation::tanh: return std::tanh(x);
    }
    return x;
}

// A rational-quadratic spline with linear tails from latent to data (1906.04032, eqs. 6 to 8).
struct Spline {
    std::uint32_t bins = 0;
    float bound = 0, min_bin = 0, min_derivative = 0;

    std::size_t outputs() const { return 3 * bins - 1; }

    // `raw` holds widths, heights and inner derivatives and is overwritten.
    float invert(float z, float *raw) const {
        if (!(z >= -bound && z <= bound)) return z;
        float *widths = raw, *heights = raw + bins;
        const float *slopes = raw + 2 * bins;
        softmax(widths);
        softmax(heights);
        const float size = 2 * bound;
        float x0 = -bound, y0 = -bound, x1 = bound, y1 = bound;
        double x = 0, y = 0;
        std::uint32_t bin = 0;
        for (;; ++bin) {
            x += widths[bin];
            y += heights[bin];
            const bool last = bin + 1 == bins;
            x1 = last ? bound : static_cast<float>(-bound + size * x);
            y1 = last ? bound : static_cast<float>(-bound + size * y);
            if (last || z < y1) break;
            x0 = x1;
            y0 = y1;
        }
        const float d0 = bin == 0 ? 1 : derivative(slopes[bin - 1]);
        const float d1 = bin + 1 == bins ? 1 : derivative(slopes[bin]);
        const float width = x1 - x0, height = y1 - y0, slope = height / width;
        const float eta = (z - y0) / height;
        const float b = d0 - eta * (d0 + d1 - 2 * slope);
        const float c = b - 2 * slope * eta;
        const float root = std::sqrt(c * c + 4 * slope * slope * eta * (1 - eta));
        const float theta = b >= 0 ? 2 * slope * eta / (root + b) : (root - b) / (2 * (slope - b));
        const float inside = std::min(std::max(theta, 0.0f), 1.0f);
        return std::min(std::max(x0 + width * inside, -bound), bound);
    }

private:
    void softmax(float *raw) const {
        const float top = *std::max_element(raw, raw + bins);
        float sum = 0;
        for (std::uint32_t k = 0; k < bins; ++k) sum += raw[k] = std::exp(raw[k] - top);
        for (std::uint32_t k = 0; k < bins; ++k) raw[k] = min_bin + (1 - bins * min_bin) * raw[k] / sum;
    }
    float derivative(float raw) const {
        const float shifted = raw + std::log(std::expm1(1 - min_derivative));
        return min_derivative + (shifted > 20 ? shifted : std::log1p(std::exp(shifted)));
    }
};

// Rows of a masked matrix, each cut behind its last weight that may differ from zero.
struct Rows {
    std::vector<std::uint32_t> length; // of each row
    std::vector<std::uint64_t> begin;
    std::vector<float> weight, bias;

    void read(Reader &reader) {
        length = reader.array<std::uint32_t>();
        weight = reader.array<float>();
        bias = reader.array<float>();
        std::uint64_t next = 0;
        for (auto n : length) {
            begin.push_back(next);
            next += n;
        }
        if (next != weight.size() || bias.size() != length.size())
            throw std::runtime_error("the model's file is damaged");
    }
    float operator()(std::size_t row, const float *input) const {
        return bias[row] + dot(weight.data() + begin[row], input, length[row]);
    }
};

// One masked autoregressive layer.
struct Masked {
    std::uint32_t dim = 0, context = 0;
    bool sampling_is_fast = false;
    Activation activation{};
    Spline spline;
    std::vector<std::uint32_t> order;              // the dimensions in autoregressive order
    std::vector<Rows> hidden;                      // units by degree
    std::vector<std::vector<std::uint32_t>> ready; // [layer][i]: units that need i dimensions or fewer
    Rows final;                                    // rows in autoregressive order
    std::vector<float> context_weight, context_bias;

    void read(Reader &reader) {
        dim = reader.number<std::uint32_t>();
        context = reader.number<std::uint32_t>();
        sampling_is_fast = reader.number<std::uint32_t>() != 0;
        activation = static_cast<Activation>(reader.number<std::uint32_t>());
        spline.bins = reader.number<std::uint32_t>();
        spline.bound = reader.number<float>();
        spline.min_bin = reader.number<float>();
        spline.min_derivative = reader.number<float>();
        order = reader.array<std::uint32_t>();
        hidden.resize(reader.number<std::uint32_t>());
        ready.resize(hidden.size());
        for (std::size_t layer = 0; layer < hidden.size(); ++layer) {
            hidden[layer].read(reader);
            ready[layer] = reader.array<std::uint32_t>();
        }
        final.read(reader);
        context_weight = reader.array<float>();
        context_bias = reader.array<float>();
    }

    // Latent to data, in place.
    void invert(std::vector<float> &value, const std::vector<float> &condition) const {
        std::vector<std::vector<float>> units(hidden.size());
        for (std::size_t layer = 0; layer < hidden.size(); ++layer) units[layer].resize(hidden[layer].bias.size());
        std::vector<float> offset(units[0].size()), known(dim), raw(spline.outputs()), result(dim);
        for (std::size_t u = 0; context > 0 && u < offset.size(); ++u)
            offset[u] = activate(
                activation, context_bias[u] + dot(&context_weight[u * context], condition.data(), context));
        std::vector<std::size_t> done(hidden.size(), 0);
        for (std::uint32_t i = 0; i < dim; ++i) {
            for (std::size_t layer = 0; layer < hidden.size(); ++layer) {
                const float *input = layer == 0 ? known.data() : units[layer - 1].data();
                for (; done[layer] < ready[layer][i]; ++done[layer]) {
                    float sum = hidden[layer](done[layer], input);
                    if (layer == 0) sum += offset[done[layer]];
                    units[layer][done[layer]] = activate(activation, sum);
                }
            }
            for (std::size_t k = 0; k < raw.size(); ++k) raw[k] = final(i * raw.size() + k, units.back().data());
            const float z = value[order[i]];
            result[order[i]] = spline.invert(z, raw.data());
            known[i] = sampling_is_fast ? z : result[order[i]];
        }
        value.swap(result);
    }
};

struct Step {
    std::vector<std::uint32_t> permutation; // data[k] = latent[permutation[k]]; empty for a masked layer
    Masked masked;
};

struct Flow {
    std::vector<Step> steps; // latent to data

    void read(Reader &reader) {
        steps.resize(reader.number<std::uint32_t>());
        for (auto &step : steps) {
            if (reader.number<std::uint32_t>() == 0)
                step.permutation = reader.array<std::uint32_t>();
            else
                step.masked.read(reader);
        }
    }
    void invert(std::vector<float> &value, const std::vector<float> &condition) const {
        std::vector<float> moved(value.size());
        for (const auto &step : steps) {
            if (step.permutation.empty()) {
                step.masked.invert(value, condition);
                continue;
            }
            for (std::size_t k = 0; k < value.size(); ++k) moved[k] = value[step.permutation[k]];
            value.swap(moved);
        }
    }
};

// What surrounds a flow: the logit with its margin, the noise of the training and the threshold, in MeV.
struct Preparation {
    double alpha = 0, noise = 0, threshold = 0;

    void read(Reader &reader) {
        alpha = reader.number<double>();
        noise = reader.number<double>();
        threshold = reader.number<double>();
    }
    double expit(double y) const {
        const double p = 1 / (1 + std::exp(-y));
        return std::min(std::max((p - alpha) / (1 - 2 * alpha), 0.0), 1.0);
    }
};

} // namespace detail

// A CaloFlow model: flow I for the energies of the layers, flow II for the voxels (2106.05285).
class Model {
public:
    explicit Model(const std::string &path) {
        detail::Reader reader(path);
        sizes_ = reader.array<std::uint32_t>();
        top_ = reader.number<double>();
        seen_ = reader.array<double>();
        energy_steps_.read(reader);
        voxel_steps_.read(reader);
        brightest_ = reader.array<float>();
        energies_.read(reader);
        voxels_.read(reader);
        if (seen_.size() != 2 * sizes_.size()) throw std::runtime_error("the model's file is damaged");
        for (auto size : sizes_) total_ += size;
        if (brightest_.size() != total_) throw std::runtime_error("the model's file is damaged");
    }

    std::size_t layers() const { return sizes_.size(); }
    std::size_t voxels() const { return total_; }

    // One shower of incident energy `incident` from standard normal numbers: layers() and voxels() of them.
    std::vector<double> shower(double incident, std::vector<float> z_energies, std::vector<float> z_voxels) const {
        if (!(incident > 0) || !std::isfinite(incident))
            throw std::invalid_argument("the incident energy must be positive");
        if (z_energies.size() != layers() || z_voxels.size() != voxels())
            throw std::invalid_argument("needs one normal number per layer and one per voxel");
        energies_.invert(z_energies, {static_cast<float>(std::log10(incident) - 4)});
        const auto energies = layer_energies(incident, z_energies);
        std::vector<float> condition{static_cast<float>(std::log10(incident) - 4)};
        for (double energy : energies)
            condition.push_back(static_cast<float>(std::log10(std::max(energy, 1e-4)) - 4));
        voxels_.invert(z_voxels, condition);
        return renormalised(z_voxels, energies);
    }

    // One shower with numbers from `random`, such as a std::mt19937_64.
    template <class Random> std::vector<double> shower(double incident, Random &random) const {
        std::normal_distribution<float> normal;
        std::vector<float> z_energies(layers()), z_voxels(voxels());
        for (auto &z : z_energies) z = normal(random);
        for (auto &z : z_voxels) z = normal(random);
        return shower(incident, std::move(z_energies), std::move(z_voxels));
    }

private:
    std::vector<double> layer_energies(double incident, const std::vector<float> &y) const {
        std::vector<double> energies(layers());
        // No fraction leaves the range of the training.
        const auto fraction = [&](std::size_t k) {
            return std::min(std::max(energy_steps_.expit(y[k]), seen_[2 * k]), seen_[2 * k + 1]);
        };
        double rest = fraction(0) * top_ * incident;
        for (std::size_t n = 0; n < layers(); ++n) {
            energies[n] = n + 1 < layers() ? fraction(n + 1) * rest : rest;
            rest -= energies[n];
        }
        for (std::size_t n = 0; n < layers(); ++n) {
            const double clean = energies[n] - 0.5 * energy_steps_.noise * sizes_[n];
            energies[n] = clean < energy_steps_.threshold ? 0 : clean;
        }
        return energies;
    }

    // Each layer gets its energy with the mean of the noise, loses what is below the threshold, and gets its energy.
    std::vector<double> renormalised(const std::vector<float> &y, const std::vector<double> &energies) const {
        std::vector<double> shower(voxels());
        std::size_t begin = 0;
        for (std::size_t n = 0; n < layers(); begin += sizes_[n++]) {
            const std::size_t end = begin + sizes_[n];
            for (std::size_t k = begin; k < end; ++k) 
                shower[k] = std::min(voxel_steps_.expit(y[k]), static_cast<double>(brightest_[k]));
            scale(shower, begin, end, energies[n] + 0.5 * voxel_steps_.noise * sizes_[n]);
            for (std::size_t k = begin; k < end; ++k)
                if (shower[k] < voxel_steps_.threshold) shower[k] = 0;
            scale(shower, begin, end, energies[n]);
        }
        return shower;
    }

    static void scale(std::vector<double> &shower, std::size_t begin, std::size_t end, double energy) {
        double sum = 0;
        for (std::size_t k = begin; k < end; ++k) sum += shower[k];
        const double factor = sum > 0 ? energy / sum : 0;
        for (std::size_t k = begin; k < end; ++k) shower[k] *= factor;
    }

    std::vector<std::uint32_t> sizes_;
    std::size_t total_ = 0;
    double top_ = 1;
    std::vector<double> seen_; // least and largest of each fraction
    std::vector<float> brightest_; // largest share of each voxel
    detail::Preparation energy_steps_, voxel_steps_;
    detail::Flow energies_, voxels_;
};

} // namespace lhcflow
