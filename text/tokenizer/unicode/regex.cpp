#include "text/tokenizer/unicode/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "text/tokenizer/unicode/newer_characters.h"
#include "text/tokenizer/unicode/regex_translation.h"

namespace mmbatch {
namespace {

constexpr std::uint32_t kMatchLimit = 50'000'000;
constexpr std::size_t kJitStackBytes = 64u << 20;  // taken page by page, as needed

/// What matching needs of its own in each thread.
struct Workspace {
  Workspace()
      : data(pcre2_match_data_create(1, nullptr)),
        context(pcre2_match_context_create(nullptr)),
        stack(pcre2_jit_stack_create(64u << 10, kJitStackBytes, nullptr)) {
    if (data == nullptr || context == nullptr) throw std::bad_alloc();
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_set_heap_limit(context, kJitStackBytes >> 10);
    pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~Workspace() {
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  pcre2_match_data* data;
  pcre2_match_context* context;
  pcre2_jit_stack* stack;
};

std::string message_of(int code) {
  char text[256];
  pcre2_get_error_message(code, reinterpret_cast<PCRE2_UCHAR*>(text), sizeof(text));
  return text;
}

/// `text` with older characters in place of those that PCRE2 does not know; empty when it knows all.
std::string with_older_characters(std::string_view text) {
  std::string changed;
  for (std::size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) < 0xE0) {  // newer ones take three bytes or four
      ++at;
      continue;
    }
    const std::size_t begin = at;
    const char32_t c = next_code_point(text, at);
    const char32_t older = older_character(c);
    if (older == c) continue;
    if (changed.empty()) changed = text;
    std::string bytes;
    append_code_point(older, bytes);
    changed.replace(begin, at - begin, bytes);
  }
  return changed;
}

}  // namespace

struct Regex::Code {
  pcre2_code* code = nullptr;
  bool compiled_to_machine_code = false;

  Code() = default;
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() { pcre2_code_free(code); }
};

Regex::Regex(std::string_view pattern, const std::string& where) {
  if (pattern.size() > kMaxPatternBytes) {
    throw ModelError(fmt::format("{}: a regular expression of more than {} bytes", where, kMaxPatternBytes));
  }
  const std::string translated = translate_regex(pattern, where);
  auto code = std::make_shared<Code>();
  pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
  pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  int error = 0;
  std::size_t offset = 0;
  code->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
                             &offset, context);
  pcre2_compile_context_free(context);
  if (code->code == nullptr) {
    throw ModelError(fmt::format("{}: the regular expression '{}' is not supported: {}", where, pattern,
                                 message_of(error)));
  }
  code->compiled_to_machine_code = pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE) == 0;
  code_ = std::move(code);
}

void Regex::find_all(std::string_view text, std::vector<Span>& matches) const {
  thread_local Workspace workspace;
  const std::string older = with_older_characters(text);
  const std::string_view subject = older.empty() ? text : std::string_view(older);
  const auto* bytes = reinterpret_cast<PCRE2_SPTR>(subject.data());
  const std::size_t* found = pcre2_get_ovector_pointer(workspace.data);
  std::size_t at = 0;
  std::size_t last_end = std::string::npos;  // of the match before
  while (at <= subject.size()) {
    const int result =
        code_->compiled_to_machine_code
            ? pcre2_jit_match(code_->code, bytes, subject.size(), at, 0, workspace.data, workspace.context)
            : pcre2_match(code_->code, bytes, subject.size(), at, PCRE2_NO_UTF_CHECK, workspace.data,
                          workspace.context);
    if (result == PCRE2_ERROR_NOMATCH) return;
    if (result < 0) {
      throw ItemError(ErrorCode::unsupported,
                      fmt::format("the tokenizer's regular expression takes too long on this text ({})",
                                  message_of(result)));
    }
    const Span match{found[0], found[1]};
    if (match.begin == match.end && match.end == last_end) {
      at = match.end + std::max<std::size_t>(1, utf8_length(subject.substr(match.end)));
      continue;
    }
    matches.push_back(match);
    at = last_end = match.end;
  }
}

}  // namespace mmbatch
