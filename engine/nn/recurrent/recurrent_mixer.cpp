#include "engine/nn/recurrent/recurrent_mixer.h"

namespace mmbatch {
namespace {

std::variant<GatedDeltaNet, ShortConvolution> make_mixer(const Weights& weights,
                                                         const RecurrentConfig& config,
                                                         const RecurrentNames& names) {
  if (const auto* delta = std::get_if<GatedDeltaNetConfig>(&config))
    return GatedDeltaNet(weights, *delta, std::get<GatedDeltaNetNames>(names));
  return ShortConvolution(weights, std::get<ShortConvolutionConfig>(config),
                          std::get<ShortConvolutionNames>(names));
}

struct Readers {
  std::vector<std::string> operator()(const std::monostate&) const { return {}; }
  std::vector<std::string> operator()(const GatedDeltaNetNames& names) const {
    return {names.qkv, names.gate, names.beta, names.alpha};
  }
  std::vector<std::string> operator()(const ShortConvolutionNames& names) const { return {names.input}; }
};

}  // namespace

std::size_t state_floats(const RecurrentConfig& config) {
  if (const auto* delta = std::get_if<GatedDeltaNetConfig>(&config))
    return GatedDeltaNet::state_floats(*delta);
  return ShortConvolution::state_floats(std::get<ShortConvolutionConfig>(config));
}

RecurrentMixer::RecurrentMixer(const Weights& weights, const RecurrentConfig& config,
                               const RecurrentNames& names)
    : mixer_(make_mixer(weights, config, names)) {}

std::vector<std::string> readers_of_norm(const RecurrentNames& names) {
  return std::visit(Readers{}, names);
}

}  // namespace mmbatch
