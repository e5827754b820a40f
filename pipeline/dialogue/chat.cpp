#include "pipeline/dialogue/chat.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <istream>
#include <ostream>
#include <string>

namespace mmbatch {
namespace {

constexpr const char* kHelp =
    "/reset forgets the history (the images stay)\n"
    "/exit or Ctrl-D ends\n"
    "/help shows this\n"
    "anything else is a question\n";

std::string strip(const std::string& line) {
  const std::size_t begin = line.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return "";
  return line.substr(begin, line.find_last_not_of(" \t\r") + 1 - begin);
}

/// What is wrong with a line that was meant as a command; empty: it is a question. A command's word has
/// letters only, so that a question may begin with a path.
std::string command_fault(const std::string& line) {
  if (line.front() != '/') return "";
  const std::string word = line.substr(0, line.find_first_of(" \t"));
  const auto is_letter = [](unsigned char c) { return std::isalpha(c) != 0; };
  const bool letters = word.size() > 1 && std::all_of(word.begin() + 1, word.end(), is_letter);
  const bool alone = word == line && word.find('/', 1) == std::string::npos;
  if (!letters && !alone) return "";
  if (word == "/exit" || word == "/reset" || word == "/help") return word + " takes no more words";
  return word + " is not a command";
}

std::string report(const Completion& completion) {
  const Answer& answer = completion.answers.front();
  const std::size_t thoughts = answer.thoughts.end - answer.thoughts.begin;
  return fmt::format("prompt tokens {}, of them reused {}; answer tokens {}{}\n", completion.prompt_tokens,
                     completion.reused_tokens, answer.tokens.size(),
                     thoughts > 0 ? fmt::format(", reasoning tokens {}", thoughts) : "");
}

}  // namespace

ExitCode chat(const ChatOptions& options, std::istream& in, std::ostream& out, std::ostream& notes) {
  Dialogue dialogue(options);
  ExitCode code = ExitCode::ok;
  const bool person = options.listener == Listener::person;
  for (;;) {
    if (person) out << "> " << std::flush;
    std::string line;
    if (!std::getline(in, line)) {
      if (person) out << std::endl;
      return code;
    }
    line = strip(line);
    if (line.empty()) continue;
    if (line == "/exit") return code;
    if (line == "/reset") {
      dialogue.reset();
    } else if (line == "/help") {
      notes << kHelp << std::flush;
    } else if (const std::string fault = command_fault(line); !fault.empty()) {
      notes << fault << '\n' << kHelp << std::flush;
    } else {
      try {
        const Completion completion = dialogue.ask(line, out, notes);
        if (options.report == TurnReport::tokens) notes << report(completion) << std::flush;
      } catch (const ItemError& e) {
        code = ExitCode::items_failed;
        notes << fmt::format("mmbatch: {}: {}\n", to_string(e.code()), e.what()) << std::flush;
        if (e.code() == ErrorCode::prompt_too_long) notes << "/reset begins anew\n" << std::flush;
      }
    }
  }
}

}  // namespace mmbatch
