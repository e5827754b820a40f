#include "fusion/source/lora/adapter.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <optional>

#include "engine/base/error.h"
#include "engine/weights/adapters/low_rank.h"
#include "engine/weights/safetensors.h"
#include "fusion/source/lora/lora_config.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;

constexpr const char *kConfigFile = "adapter_config.json", *kWeightsFile = "adapter_model.safetensors";
constexpr std::string_view kPeft = "base_model.model.";

/// The tensors that adapt one module.
struct Target {
  const TensorView *a = nullptr, *b = nullptr, *magnitude = nullptr;
  bool table = false;  // of an embedding, whose rows are inputs
};

/// What a tensor of an adapter is, by the end of its name.
struct Role {
  std::string_view ending;
  const TensorView* Target::*place;
  bool table;
};
constexpr Role kRoles[] = {{".lora_A.weight", &Target::a, false},
                           {".lora_B.weight", &Target::b, false},
                           {".lora_embedding_A", &Target::a, true},
                           {".lora_embedding_B", &Target::b, true},
                           {".lora_magnitude_vector", &Target::magnitude, false},
                           {".lora_magnitude_vector.weight", &Target::magnitude, false}};

/// Names under which files of different years store a module of transformers.
std::vector<std::string> stored_names(const std::string& module) {
  std::vector<std::string> names = {module};
  const auto also = [&](std::string_view from, std::string_view to) {
    if (module.starts_with(from)) names.push_back(std::string(to) + module.substr(from.size()));
  };
  also("model.language_model.", "language_model.model.");
  also("model.language_model.", "model.");
  also("language_model.model.", "model.language_model.");
  also("language_model.model.", "model.");
  also("language_model.lm_head", "lm_head");
  also("model.text_model.", "model.");
  also("transformer.", "");
  also("model.", "");
  also("", "model.");
  also("", "model.language_model.");
  also("", "language_model.");
  also("", "transformer.");
  also("lm_head", "language_model.lm_head");
  return names;
}

class Adapter {
 public:
  Adapter(const Config& config, const SafetensorsFile& file, double scale, TensorMap& tensors)
      : file_(file), config_(config), scale_(scale), tensors_(tensors) {}

  void add() {
    std::map<std::string, Target> targets;
    for (const auto& [name, tensor] : file_.tensors()) sort(name, tensor, targets);
    for (const auto& [name, type] : file_.other_tensors())
      fail(name, fmt::format("is stored as {}; supported are F32, F16 and BF16", type));
    if (targets.empty()) throw ModelError(fmt::format("{}: has no tensors of LoRA", file_.path().string()));
    for (const auto& [module, target] : targets) adapt(module, target);
  }

 private:
  void sort(const std::string& name, const TensorView& tensor, std::map<std::string, Target>& targets) {
    std::string_view rest = name;
    if (rest.starts_with(kPeft)) rest.remove_prefix(kPeft.size());
    for (const Role& role : kRoles) {
      if (!rest.ends_with(role.ending)) continue;
      Target& target = targets[std::string(rest.substr(0, rest.size() - role.ending.size()))];
      if (target.*role.place != nullptr)
        fail(name, fmt::format("is there twice: '{}' is the same part", (target.*role.place)->name));
      target.*role.place = &tensor;
      target.table = target.table || role.table;
      return;
    }
    if (rest.find(".lora_") != std::string_view::npos) fail(name, "is of a kind that is not supported");
    // Of an adapted embedding, its own table may be there too.
    constexpr std::string_view kBase = ".base_layer.weight";
    const bool base = rest.ends_with(kBase);
    if (base) rest.remove_suffix(kBase.size());
    replace(name, base ? std::string(rest) + ".weight" : std::string(rest), tensor);
  }

  /// A whole tensor, of modules_to_save or of biases that were trained, takes the place of the model's.
  void replace(const std::string& name, const std::string& stored, const TensorView& tensor) {
    TensorView& old = find(name, stored);
    if (const auto [other, first] = replaced_.emplace(old.name, name); !first)
      fail(name, fmt::format("and '{}' are for one weight, {}", other->second, old.name));
    if (old.shape != tensor.shape) {
      fail(name, fmt::format(
                     "has shape {}, the model's own has {}; a vocabulary that was extended is not supported",
                     shape_text(tensor.shape), shape_text(old.shape)));
    }
    const std::string own = old.name;
    old = tensor;
    old.name = own;
  }

  void adapt(const std::string& module, const Target& target) {
    const std::string name = fmt::format("{}{}", kPeft, module);
    if (target.a == nullptr || target.b == nullptr) fail(name, "lacks one of lora_A and lora_B");
    TensorView& weight = find(name, module + ".weight");
    // Other names that mean one module would be added to each other.
    if (const auto [other, first] = adapted_.emplace(weight.name, name); !first)
      fail(name, fmt::format("and '{}' are for one weight, {}", other->second, weight.name));
    const bool turned = target.table || config_.transposed();
    const std::size_t rank = config_.rank(module);
    const std::size_t rows = weight.rows(), cols = weight.cols();
    const std::size_t in = turned ? rows : cols, out = turned ? cols : rows;
    check_shape(*target.a, {rank, in});
    check_shape(*target.b, {out, rank});
    LowRank change{.rank = rank, .a = to_floats(*target.a), .b = to_floats(*target.b)};
    if (turned) {  // (B A)ᵀ = Aᵀ Bᵀ
      std::vector<float> a = transposed(change.b, out, rank), b = transposed(change.a, rank, in);
      change.a = std::move(a);
      change.b = std::move(b);
    }
    change.scale = static_cast<float>(static_cast<double>(config_.scale(module)) * scale_);
    if (!std::isfinite(change.scale))
      fail(name, "has a scale (lora_alpha or alpha_pattern by the rank) that float32 does not hold");
    if (target.magnitude != nullptr) {
      if (!config_.has_magnitudes())
        fail(name, "has lora_magnitude_vector, but the config does not say use_dora");
      if (target.table) fail(name, "DoRA of an embedding is not supported");
      if (target.magnitude->elements() != rows) check_shape(*target.magnitude, {rows, 1});
      change.magnitude = to_floats(*target.magnitude);
    } else if (config_.has_magnitudes()) {
      fail(name, "lacks lora_magnitude_vector, as the config says use_dora");
    }
    weight = adapted(weight, std::move(change));
  }

  static std::vector<float> transposed(const std::vector<float>& matrix, std::size_t rows, std::size_t cols) {
    std::vector<float> out(matrix.size());
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < cols; ++c) out[c * rows + r] = matrix[r * cols + c];
    }
    return out;
  }

  /// A convolution's tensors have further axes, which are read as columns.
  void check_shape(const TensorView& tensor, const std::vector<std::size_t>& wanted) const {
    if (tensor.rows() == wanted[0] && tensor.cols() == wanted[1]) return;
    fail(tensor.name, fmt::format("expected shape {} by the model and adapter_config.json, found {}",
                                  shape_text(wanted), shape_text(tensor.shape)));
  }

  TensorView& find(const std::string& name, const std::string& stored) {
    for (const std::string& one : stored_names(stored)) {
      const auto found = tensors_.find(one);
      if (found != tensors_.end()) return found->second;
    }
    fail(name, "is for a part that the model does not have: the adapter was made for another model");
  }

  [[noreturn]] void fail(const std::string& name, const std::string& problem) const {
    throw ModelError(fmt::format("{}: '{}' {}", file_.path().string(), name, problem));
  }

  const SafetensorsFile& file_;
  LoraConfig config_;
  double scale_;
  TensorMap& tensors_;
  std::map<std::string, std::string> adapted_, replaced_;  // the model's tensors, and by what
};

/// Says what was given in place of an adapter.
void check_folder(const fs::path& folder) {
  std::error_code failed;
  constexpr const char* kWanted =
      "an adapter is a folder with adapter_config.json and adapter_model.safetensors";
  if (!fs::is_directory(folder, failed)) {
    const bool is_file = fs::exists(folder, failed);
    throw ModelError(fmt::format("{}: {}; {}", folder.string(),
                                 is_file  ? "is a file"
                                 : failed ? "cannot be read: " + failed.message()
                                          : "no such folder",
                                 kWanted));
  }
  for (const char* name : {kConfigFile, kWeightsFile}) {
    if (fs::exists(folder / name, failed)) continue;
    const bool pickle = fs::exists(folder / "adapter_model.bin", failed);
    throw ModelError(fmt::format("{}: {} is not there; {}{}", folder.string(), name, kWanted,
                                 pickle
                                     ? ". Save the adapter again with safe_serialization=True, in place of "
                                       "adapter_model.bin"
                                     : ""));
  }
}

}  // namespace

std::vector<std::string> unknown_keys(const AdapterPlace& place) {
  return LoraConfig(Config::read(place.folder / kConfigFile)).unknown_keys();
}

void add_adapter(const Config& config, const SafetensorsFile& file, double scale, TensorMap& tensors) {
  Adapter(config, file, scale, tensors).add();
}

std::unique_ptr<const SafetensorsFile> add_adapter(const AdapterPlace& place, TensorMap& tensors) {
  check_folder(place.folder);
  auto file = std::make_unique<const SafetensorsFile>(place.folder / kWeightsFile);
  add_adapter(Config::read(place.folder / kConfigFile), *file, place.scale, tensors);
  return file;
}

}  // namespace mmbatch
