#include "tests/checkers/parity_reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace mmbatch::parity {
namespace {

using Json = nlohmann::json;
using Ids = std::vector<std::int32_t>;

Json read_json(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw std::runtime_error(file.string() + ": cannot be read");
  try {
    return Json::parse(stream);
  } catch (const Json::exception& e) {
    throw std::runtime_error(fmt::format("{}: {}", file.string(), e.what()));
  }
}

/// The number behind `prefix`; none when `text` is not made so.
std::optional<double> number_behind(std::string_view prefix, const std::string& text) {
  if (text.rfind(prefix, 0) != 0) return {};
  const char* end = text.data() + text.size();
  double number = 0.0;
  const auto [stop, error] = std::from_chars(text.data() + prefix.size(), end, number);
  if (error != std::errc() || stop != end) return {};
  return number;
}

/// "repetition_penalty_1.3" and its kin: what the settings of a single sequence are, by the key.
std::optional<GenerationConfig> single_settings(const std::string& key) {
  GenerationConfig settings;
  if (key == "greedy") return settings;
  if (const auto penalty = number_behind("repetition_penalty_", key)) {
    settings.repetition_penalty = *penalty;
    return settings;
  }
  if (const auto size = number_behind("no_repeat_ngram_size_", key)) {
    settings.no_repeat_ngram_size = static_cast<int>(*size);
    return settings;
  }
  return {};
}

/// "beams_4_length_penalty_2.0"
std::optional<GenerationConfig> beam_settings(const std::string& key) {
  constexpr std::string_view kPenalty = "_length_penalty_";
  const std::size_t middle = key.find(kPenalty);
  if (middle == std::string::npos) return {};
  const auto beams = number_behind("beams_", key.substr(0, middle));
  const auto penalty = number_behind(kPenalty, key.substr(middle));
  if (!beams || !penalty || *beams < 1 || *beams > 1024) return {};
  GenerationConfig settings;
  settings.num_beams = settings.num_return_sequences = static_cast<int>(*beams);
  settings.length_penalty = *penalty;
  return settings;
}

struct EndOfSequence {
  const Ids& eos;

  bool is_end(std::int32_t id) const { return std::find(eos.begin(), eos.end(), id) != eos.end(); }
  void cut(Ids& tokens) const {
    const auto end = std::find_if(tokens.begin(), tokens.end(), [&](std::int32_t id) { return is_end(id); });
    if (end != tokens.end()) tokens.erase(end + 1, tokens.end());
  }
  bool ends(const Ids& tokens) const { return !tokens.empty() && is_end(tokens.back()); }
};

/// What one case's lists say about the max_new_tokens that they were made with: the longest, and whether one
/// of them was cut off by it.
struct Limit {
  std::size_t longest = 0;
  bool certain = false;

  void add(std::size_t length, bool ended) {
    if (length > longest) {
      longest = length;
      certain = false;
    }
    if (length == longest && !ended) certain = true;
  }
};

/// A message with content as text or parts.
Message read_message(const Json& json) {
  Message message;
  message.role = find_role(json.at("role").get<std::string>()).value();
  const Json& content = json.at("content");
  if (content.is_string()) {
    message.content = content.get<std::string>();
  } else {
    message.parts = content.dump();
    for (const Json& part : content) {
      if (part.at("type") == "image" || part.at("type") == "video") ++message.images;
      if (part.contains("text")) message.content += part.at("text").get<std::string>();
    }
    // As items have videos: in front of a text, which the prompt's maker puts together.
    if (!content.empty() && content.front().at("type") == "video") message.parts.clear();
  }
  Json other = json;
  other.erase("role");
  other.erase("content");
  if (!other.empty()) message.other = other.dump();
  return message;
}

void read_video(const Json& json, ReferenceCase& out) {
  out.images = json.at("frames").get<std::vector<std::string>>();
  const auto fps = json.at("fps").get<double>();
  out.video.emplace();
  for (const Json& index : json.at("frames_indices")) out.video->times.push_back(index.get<double>() / fps);
  out.video->length = json.value("duration", 0.0);
}

/// Settings that all of a folder's generations have in common.
struct FolderSettings {
  GenerationConfig published;
  std::optional<int> forced_bos, forced_eos;

  FolderSettings(const Json& json, const GenerationOverrides& overrides) {
    apply(published, overrides);
    const Json generation = json.value("generation", Json::object());
    const auto token = [&](const char* key) {
      const Json id = generation.value(key, Json());
      return id.is_number_integer() ? std::optional<int>(id.get<int>()) : std::nullopt;
    };
    forced_bos = token("forced_bos_token_id");
    forced_eos = token("forced_eos_token_id");
  }
  void force(GenerationConfig& settings) const {
    settings.forced_bos_token_id = forced_bos;
    settings.forced_eos_token_id = forced_eos;
  }
};

ReferenceCase read_case(const Json& json, std::string name, const EndOfSequence& end,
                        const FolderSettings& of_folder, Limit& limit) {
  ReferenceCase out;
  out.name = std::move(name);
  if (json.contains("probabilities")) {
    out.probabilities = json.at("probabilities").get<std::vector<double>>();
    out.best = json.at("best").get<std::int64_t>();
  } else {
    out.prompt = json.at("prompt").get<std::string>();
  }
  for (const Json& message : json.value("messages", Json::array()))
    out.messages.push_back(read_message(message));
  if (json.contains("template_kwargs")) out.template_kwargs = json.at("template_kwargs").dump();
  if (json.contains("image")) out.images.push_back(json.at("image").get<std::string>());
  if (json.contains("images")) out.images = json.at("images").get<std::vector<std::string>>();
  if (json.contains("video")) read_video(json.at("video"), out);
  // Written otherwise than the model's template does.
  if (json.value("bare", false)) out.messages.clear();
  if (json.contains("input_ids")) out.input_ids = json.at("input_ids").get<Ids>();
  for (const char* key : {"decoder_input_ids", "decoder_prefix"}) {
    if (json.contains(key)) out.decoder_ids = json.at(key).get<Ids>();
  }
  if (json.contains("greedy_text")) out.greedy_text = json.at("greedy_text").get<std::string>();
  const auto add = [&](ExpectedSequence sequence) {
    const std::size_t length = sequence.tokens.size();
    end.cut(sequence.tokens);
    limit.add(length, end.ends(sequence.tokens));
    out.generations.back().sequences.push_back(std::move(sequence));
  };
  for (const auto& [key, value] : json.items()) {
    if (const auto settings = single_settings(key)) {
      out.generations.push_back({key, *settings, {}, true, {}, {}});
      of_folder.force(out.generations.back().settings);
      add({value.get<Ids>(), 0.0});
    } else if (const auto with_beams = beam_settings(key)) {
      out.generations.push_back({key, *with_beams, {}, true, {}, {}});
      of_folder.force(out.generations.back().settings);
      for (const Json& beam : value) add({beam.at("tokens").get<Ids>(), beam.at("score").get<double>()});
    } else if (key == "published_defaults") {
      out.generations.push_back({key, of_folder.published, {}, false, {}, {}});
      add({value.get<Ids>(), 0.0});
    } else {
      continue;
    }
    if (key != "greedy") continue;
    out.generations.back().logprobs = json.value("greedy_logprobs", std::vector<double>{});
    out.generations.back().margins = json.value("greedy_margin", std::vector<double>{});
  }
  return out;
}

/// Beams that end early are stored shorter than they could have become; searching on to the same length is
/// part of the result. So a case without a sequence that was cut off takes the length of the others.
void set_limits(std::vector<ReferenceCase>& cases, const std::vector<Limit>& limits) {
  std::size_t longest = 1;
  for (const Limit& limit : limits) longest = std::max(longest, limit.longest);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const std::size_t tokens = limits[i].certain ? limits[i].longest : longest;
    for (ExpectedGeneration& generation : cases[i].generations) {
      generation.settings.max_new_tokens = static_cast<int>(tokens);
      generation.settings.logprobs = true;
    }
  }
}

}  // namespace

Reference::Reference(const std::filesystem::path& folder_, const Ids& eos, const std::string& image_token,
                     const GenerationOverrides& published)
    : folder(folder_), tensors(folder / "expected.safetensors") {
  const std::filesystem::path file = folder / "expected.json";
  const Json json = read_json(file);
  const EndOfSequence end{eos};
  const FolderSettings of_folder(json, published);
  std::vector<Limit> limits;
  const auto add = [&](const Json& entry, std::string name) {
    limits.emplace_back();
    cases.push_back(read_case(entry, std::move(name), end, of_folder, limits.back()));
  };
  try {
    for (const auto& [list, prefix] : {std::pair{"cases", "case"}, std::pair{"text_cases", "text_case"}}) {
      std::size_t number = 0;
      for (const Json& entry : json.value(list, Json::array())) {
        const std::string name = fmt::format("{}{}", prefix, number++);
        add(entry, name);
      }
    }
    const auto labels = json.value("labels", std::vector<std::string>{});
    for (std::size_t i = 0; i < labels.size(); ++i) {
      this->labels.push_back({labels[i], json.at("label_ids").at(i).get<Ids>()});
    }
    if (json.contains("two_images")) add(json.at("two_images"), "two_images");
    for (const Json& entry : json.value("tokenizer", Json::array())) {
      tokenizer.push_back({entry.at("text").get<std::string>(), entry.at("ids").get<Ids>(), {}});
      if (entry.contains("decoded")) tokenizer.back().decoded = entry.at("decoded").get<std::string>();
    }
  } catch (const Json::exception& e) {
    throw std::runtime_error(fmt::format("{}: {}", file.string(), e.what()));
  }
  set_limits(cases, limits);
  const std::string marker = json.value("marker", "");
  for (ReferenceCase& one : cases) {
    for (std::size_t at = 0; !marker.empty() && !image_token.empty();) {
      at = one.prompt.find(marker, at);
      if (at == std::string::npos) break;
      one.prompt.replace(at, marker.size(), image_token);
      at += image_token.size();
    }
  }
}

const TensorView* Reference::tensor(const std::string& name) const {
  const auto found = tensors.tensors().find(name);
  return found == tensors.tensors().end() ? nullptr : &found->second;
}

}  // namespace mmbatch::parity
