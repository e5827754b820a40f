#include "jobs/text/pattern.h"

#include <fmt/format.h>

#include "engine/base/error.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace mmbatch {
namespace {

constexpr std::uint32_t kMatchLimit = 1'000'000;  // steps of one match
constexpr std::uint32_t kHeapKiB = 64 * 1024;

struct Free {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

std::string message_of(int code) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

struct Pattern::Impl {
  std::string name;  // what messages call it
  std::unique_ptr<pcre2_code, Free> code;
  std::unique_ptr<pcre2_match_context, Free> limits;
};

Pattern::Pattern(const std::string& expression, const std::string& option) : impl_(std::make_unique<Impl>()) {
  int error = 0;
  PCRE2_SIZE at = 0;
  impl_->name = fmt::format("{}'{}'", option.empty() ? "" : option + ": ", expression);
  impl_->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C,
                                  &error, &at, nullptr));
  if (!impl_->code) {
    throw UsageError(fmt::format("{} is not a regular expression: at character {}: {}", impl_->name, at + 1,
                                 message_of(error)));
  }
  impl_->limits.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(impl_->limits.get(), kMatchLimit);
  pcre2_set_heap_limit(impl_->limits.get(), kHeapKiB);
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

std::string Pattern::without_matches(std::string_view text) const {
  std::string out(text.size() + 1, '\0');  // what is left is never longer
  PCRE2_SIZE size = out.size();
  const int done = pcre2_substitute(impl_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                    0, PCRE2_SUBSTITUTE_GLOBAL, nullptr, impl_->limits.get(),
                                    reinterpret_cast<PCRE2_SPTR>(""), 0,
                                    reinterpret_cast<PCRE2_UCHAR*>(out.data()), &size);
  if (done < 0) {
    throw UsageError(fmt::format(
        "{} takes too long on a text of {} bytes ({}): write it without repetitions of repetitions",
        impl_->name, text.size(), message_of(done)));
  }
  out.resize(size);
  return out;
}

}  // namespace mmbatch
