#include "text/tokenizer/json/normalize/normalizers.h"

#include <fmt/format.h>

#include <functional>
#include <string_view>

#include "engine/base/text/utf8.h"
#include "text/tokenizer/json/normalize/precompiled.h"
#include "text/tokenizer/json/normalize/replacement.h"
#include "text/tokenizer/models/byte_characters.h"
#include "text/tokenizer/unicode/characters.h"
#include "text/tokenizer/unicode/normal_form.h"

namespace mmbatch {
namespace {

constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxSteps = 64;
constexpr std::size_t kMaxGrowth = 64;  // a text's bytes, times this, at most

/// Rewrites a text character by character; says whether the first one was removed.
template <typename Change>
void change_characters(NormalizedText& text, Change&& change) {
  std::string out;
  out.reserve(text.text.size() + 16);
  for (std::size_t at = 0; at < text.text.size();) {
    const bool first = at == 0;
    change(next_code_point(text.text, at), out);
    if (first && out.empty()) text.first_kept = false;
  }
  text.text = std::move(out);
}

/// A normalizer that is one function.
class Step : public Normalizer {
 public:
  explicit Step(std::function<void(NormalizedText&)> apply) : apply_(std::move(apply)) {}
  void apply(NormalizedText& text) const override { apply_(text); }

 private:
  std::function<void(NormalizedText&)> apply_;
};

void lower(NormalizedText& text) {
  change_characters(text, append_lower);
}

void strip_accents(NormalizedText& text) {
  change_characters(text, [](char32_t c, std::string& out) {
    if (!is_accent(c)) append_code_point(c, out);
  });
}

void nmt(NormalizedText& text) {
  change_characters(text, [](char32_t c, std::string& out) {
    const bool dropped =
        (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
    const bool space = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 ||
                       (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                       c == 0xFEFF || c == 0xFFFD;
    if (!dropped) append_code_point(space ? U' ' : c, out);
  });
}

void strip(NormalizedText& text, bool left, bool right) {
  std::string_view rest = text.text;
  while (left && !rest.empty()) {
    std::size_t at = 0;
    if (!is_white_space(next_code_point(rest, at))) break;
    rest.remove_prefix(at);
    text.first_kept = false;
  }
  while (right && !rest.empty()) {
    std::size_t begin = rest.size() - 1;
    while (begin > 0 && (static_cast<unsigned char>(rest[begin]) & 0xC0) == 0x80) --begin;
    std::size_t at = begin;
    if (!is_white_space(next_code_point(rest, at))) break;
    rest.remove_suffix(rest.size() - begin);
  }
  text.text = std::string(rest);
}

struct BertOptions {
  bool clean_text, handle_chinese_chars, strip_accents, lowercase;
};

void bert(NormalizedText& text, const BertOptions& options) {
  if (options.clean_text) {
    change_characters(text, [](char32_t c, std::string& out) {
      if (c == 0xFFFD || is_bert_control(c)) return;
      append_code_point(is_white_space(c) ? U' ' : c, out);
    });
  }
  if (options.handle_chinese_chars) {
    change_characters(text, [](char32_t c, std::string& out) {
      const bool ideograph = is_bert_ideograph(c);
      if (ideograph) out += ' ';
      append_code_point(c, out);
      if (ideograph) out += ' ';
    });
  }
  if (options.strip_accents) {
    text.text = normalize(text.text, NormalForm::nfd);
    change_characters(text, [](char32_t c, std::string& out) {
      if (!is_bert_accent(c)) append_code_point(c, out);
    });
  }
  if (options.lowercase) lower(text);
}

class Reader {
 public:
  void read(const Config& step, int depth) {
    const std::string type = step.text("type", "");
    const auto add = [&](std::function<void(NormalizedText&)> apply) {
      steps.push_back(std::make_unique<Step>(std::move(apply)));
    };
    const auto add_form = [&](NormalForm form) {
      add([form](NormalizedText& text) { text.text = normalize(text.text, form); });
    };
    if (depth > kMaxDepth || steps.size() >= kMaxSteps)
      step.fail("normalizers", "too many, or nested too deeply");
    if (type == "Sequence") {
      for (const Config& part : step.list("normalizers")) read(part, depth + 1);
    } else if (type == "NFC") {
      add_form(NormalForm::nfc);
    } else if (type == "NFD") {
      add_form(NormalForm::nfd);
    } else if (type == "NFKC") {
      add_form(NormalForm::nfkc);
    } else if (type == "NFKD") {
      add_form(NormalForm::nfkd);
    } else if (type == "Lowercase") {
      add(lower);
    } else if (type == "StripAccents") {
      add(strip_accents);
    } else if (type == "Nmt") {
      add(nmt);
    } else if (type == "Strip") {
      add([left = step.flag("strip_left", true),
           right = step.flag("strip_right", true)](NormalizedText& text) { strip(text, left, right); });
    } else if (type == "Replace") {
      add_replace(step);
    } else if (type == "Prepend") {
      add([prefix = step.text("prepend", "")](NormalizedText& text) {
        if (!text.text.empty() && text.takes_prefix) text.text.insert(0, prefix);
      });
    } else if (type == "Precompiled") {
      add([map = PrecompiledMap(step, "precompiled_charsmap")](NormalizedText& text) {
        text.text = map.apply(text.text);
      });
    } else if (type == "BertNormalizer") {
      const bool lowercase = step.flag("lowercase", true);
      const BertOptions options{.clean_text = step.flag("clean_text", true),
                                .handle_chinese_chars = step.flag("handle_chinese_chars", true),
                                .strip_accents = step.flag("strip_accents", lowercase),
                                .lowercase = lowercase};
      add([options](NormalizedText& text) { bert(text, options); });
    } else if (type == "ByteLevel") {
      add([](NormalizedText& text) {
        std::string out;
        append_byte_characters(text.text, out);
        text.text = std::move(out);
      });
    } else {
      step.fail("type", fmt::format("a normalizer '{}' is not supported", type));
    }
  }

  std::vector<std::unique_ptr<const Normalizer>> steps;

 private:
  void add_replace(const Config& step) {
    const std::string content = step.text("content", "");
    if (content.size() > kMaxGrowth) step.fail("content", fmt::format("longer than {} bytes", kMaxGrowth));
    steps.push_back(
        std::make_unique<Step>([pattern = TextPattern(step, "pattern"), content](NormalizedText& text) {
          std::string out = replace_matches(text.text, pattern, content);
          if (out.empty() && !text.text.empty()) text.first_kept = false;
          text.text = std::move(out);
        }));
  }
};

}  // namespace

std::vector<std::unique_ptr<const Normalizer>> read_normalizers(const Config& tokenizer) {
  Reader reader;
  if (tokenizer.has("normalizer")) reader.read(tokenizer.object("normalizer"), 0);
  return std::move(reader.steps);
}

}  // namespace mmbatch
