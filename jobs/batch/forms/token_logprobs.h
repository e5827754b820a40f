#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// A token of an answer, or what might have stood in its place.
struct LoggedToken {
  std::string text;
  std::string logprob = "null";  // as JSON
  std::vector<LoggedToken> top = {};
};

/// The tokens of an answer, from `details` as the database has them; whether there are any is `kept`.
struct LoggedTokens {
  bool kept = false;
  std::vector<LoggedToken> tokens;

  LoggedTokens(std::string_view details, std::string_view answer);
};

/// [{token, logprob, bytes, top_logprobs}…], as chat completions and responses have them.
std::string logprobs_json(const std::vector<LoggedToken>& tokens);

}  // namespace mmbatch
