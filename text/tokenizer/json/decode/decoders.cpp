#include "text/tokenizer/json/decode/decoders.h"

#include <fmt/format.h>

#include "engine/base/text/utf8.h"
#include "text/tokenizer/json/decode/decode_stages.h"

namespace mmbatch {
namespace {

constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxStages = 64;
constexpr std::size_t kMaxContentBytes = 64;

/// The end of the way: appends to whatever text the caller has now.
class OutputStage : public DecodeStage {
 public:
  explicit OutputStage(std::string* const* out) : out_(out) {}
  void put(std::string_view text, Ends) override { **out_ += text; }
  void finish() override {}

 private:
  std::string* const* out_;
};

std::string short_text(const Config& step, const std::string& key, const std::string& otherwise) {
  std::string text = step.text(key, otherwise);
  if (text.size() > kMaxContentBytes) step.fail(key, fmt::format("longer than {} bytes", kMaxContentBytes));
  return text;
}

std::string character(const Config& step, const std::string& key, const std::string& otherwise) {
  const std::string text = step.text(key, otherwise);
  if (text.empty() || utf8_length(text) != text.size()) step.fail(key, "expected one character");
  return text;
}

}  // namespace

TokenDecoder::TokenDecoder(const Config& tokenizer, const std::string& word_end) {
  if (tokenizer.has("decoder")) {
    read(tokenizer.object("decoder"), 0);
  } else {
    spaces_words_ = true;
    makers_.push_back([] { return std::make_unique<JoinStage>(); });
  }
  if (!word_end.empty()) makers_.push_back([word_end] { return std::make_unique<WordEndStage>(word_end); });
}

void TokenDecoder::read(const Config& step, int depth) {
  const std::string type = step.text("type", "");
  if (depth > kMaxDepth || makers_.size() >= kMaxStages)
    step.fail("decoders", "too many, or nested too deeply");
  if (type == "Sequence") {
    for (const Config& part : step.list("decoders")) read(part, depth + 1);
  } else if (type == "ByteLevel") {
    byte_level_ = true;
    makers_.push_back([] { return std::make_unique<ByteLevelStage>(); });
  } else if (type == "ByteFallback") {
    byte_fallback_ = true;
    // The key is this project's own: it is written for vocabularies of GGUF files.
    const auto invalid = step.text("errors", "") == "replace" ? ByteFallbackStage::Invalid::parts
                                                              : ByteFallbackStage::Invalid::every_byte;
    makers_.push_back([invalid] { return std::make_unique<ByteFallbackStage>(invalid); });
  } else if (type == "Fuse") {
    makers_.push_back([] { return std::make_unique<FuseStage>(); });
  } else if (type == "Strip") {
    const auto count = [&](const char* key) { return step.integer(key, 0, {.min = 0, .max = 1 << 20}); };
    makers_.push_back([content = character(step, "content", " "), start = count("start"),
                       stop = count("stop")] { return std::make_unique<StripStage>(content, start, stop); });
  } else if (type == "Replace") {
    makers_.push_back([pattern = TextPattern(step, "pattern"), content = short_text(step, "content", "")] {
      return std::make_unique<ReplaceStage>(pattern, content);
    });
  } else if (type == "Metaspace") {
    const std::string scheme =
        step.text("prepend_scheme", step.flag("add_prefix_space", true) ? "always" : "never");
    const auto first = scheme == "never" ? MetaspaceStage::First::keeps : MetaspaceStage::First::drops;
    makers_.push_back([replacement = character(step, "replacement", "\xE2\x96\x81"), first] {
      return std::make_unique<MetaspaceStage>(replacement, first);
    });
  } else if (type == "WordPiece") {
    spaces_words_ = true;
    const auto cleanup =
        step.flag("cleanup", true) ? WordPieceStage::Cleanup::yes : WordPieceStage::Cleanup::no;
    makers_.push_back([prefix = short_text(step, "prefix", "##"), cleanup] {
      return std::make_unique<WordPieceStage>(prefix, cleanup);
    });
  } else if (type == "BPEDecoder") {
    makers_.push_back(
        [suffix = short_text(step, "suffix", "</w>")] { return std::make_unique<BpeStage>(suffix); });
  } else if (type == "CTC") {
    const auto cleanup = step.flag("cleanup", true) ? CtcStage::Cleanup::yes : CtcStage::Cleanup::no;
    makers_.push_back([pad = short_text(step, "pad_token", "<pad>"),
                       delimiter = short_text(step, "word_delimiter_token", "|"),
                       cleanup] { return std::make_unique<CtcStage>(pad, delimiter, cleanup); });
  } else {
    step.fail("type", fmt::format("a decoder '{}' is not supported", type));
  }
}

std::string TokenDecoder::bytes_inside_text(std::string_view token) const {
  if (byte_level_) return bytes_of_byte_level(token);
  const auto byte = byte_fallback_ ? byte_of_token(token) : std::nullopt;
  if (byte) return std::string(1, *byte);
  // Between two letters nothing is put before a text, and nothing taken off its end. The last one may bring a
  // space of its own.
  const std::string out = text_of({"a", token, "z"}), around = text_of({"a", "z"});
  if (!out.starts_with('a') || !around.starts_with('a') || out.size() < around.size()) return {};
  const std::string_view last = std::string_view(around).substr(1);
  if (!out.ends_with(last)) return {};
  return out.substr(1, out.size() - around.size());
}

std::string TokenDecoder::text_of(std::initializer_list<std::string_view> tokens) const {
  std::string out;
  std::string* to = &out;
  const auto stages = start(&to);
  for (const std::string_view token : tokens) stages.front()->put(token, DecodeStage::whole);
  stages.front()->finish();
  return out;
}

std::vector<std::unique_ptr<DecodeStage>> TokenDecoder::start(std::string* const* out) const {
  std::vector<std::unique_ptr<DecodeStage>> stages;
  for (const Maker& make : makers_) stages.push_back(make());
  stages.push_back(std::make_unique<OutputStage>(out));
  for (std::size_t i = 0; i + 1 < stages.size(); ++i) stages[i]->next_ = stages[i + 1].get();
  return stages;
}

}  // namespace mmbatch
