#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <string_view>

namespace mmbatch {

/// What a chat template sees, each a JSON text.
struct ChatInput {
  std::string messages = "[]";        // a list of objects with role and content
  std::string variables = "{}";       // add_generation_prompt, tools, documents and whatever else it reads
  std::string special_tokens = "{}";  // bos_token, …: variables that `variables` may replace
  std::tm now{};  // what strftime_now says: the same in every run of a job, so that it can resume
};

/// A Jinja template as transformers renders it. Const after parsing and thread-safe; cheap to copy. A
/// template is from outside: steps, text, nesting and output are bounded, and it reaches neither files nor
/// the clock.
class ChatTemplate {
 public:
  /// @param name what errors name, such as the file's path.
  /// @throws ModelError that names line and column of what is broken or not known.
  ChatTemplate(std::string_view source, std::string name);

  /// @throws ItemError with what the template raised, or why it cannot be rendered.
  std::string render(const ChatInput& input) const;

 private:
  struct Parsed;
  std::shared_ptr<const Parsed> parsed_;
};

}  // namespace mmbatch
