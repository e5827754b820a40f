// mmbatch_render FILE.jinja: a chat template, as a program to compare with others. JSON lines on standard
// input, one line out for each:
//   {"messages": […], "kwargs": {…}, "special_tokens": {…}, "now": "2026-07-14T09:30:05"}   → {"rendered":
//   "…"}
// or {"error": "…"}, also where the template itself cannot be read. A line may bring its own "template". Exit
// code 0, or 2 when the file cannot be read.

#include <cstdio>
#include <ctime>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "text/template/jinja/chat_template.h"

namespace {

using Json = nlohmann::ordered_json;

std::tm read_time(const std::string& text) {
  std::tm time{};
  if (::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time) == nullptr)
    throw std::runtime_error("now: not a time");
  time.tm_isdst = -1;
  std::mktime(&time);  // fills in the day of the week
  return time;
}

std::string render(const mmbatch::ChatTemplate& chat, const Json& line) {
  mmbatch::ChatInput input;
  if (line.contains("messages")) input.messages = line["messages"].dump();
  if (line.contains("kwargs")) input.variables = line["kwargs"].dump();
  if (line.contains("special_tokens")) input.special_tokens = line["special_tokens"].dump();
  if (line.contains("now")) input.now = read_time(line["now"].get<std::string>());
  return chat.render(input);
}

}  // namespace

int main(int argc, char** argv) {
  std::ifstream file(argc == 2 ? argv[1] : "", std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "usage: mmbatch_render FILE.jinja < lines.jsonl\n");
    return 2;
  }
  const std::string source{std::istreambuf_iterator<char>(file), {}};
  for (std::string line; std::getline(std::cin, line);) {
    Json out;
    try {
      const Json in = Json::parse(line);
      const std::string text = in.contains("template") ? in["template"].get<std::string>() : source;
      out = {{"rendered", render(mmbatch::ChatTemplate(text, argv[1]), in)}};
    } catch (const std::exception& e) {
      out = {{"error", e.what()}};
    }
    std::cout << out.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n' << std::flush;
  }
  return 0;
}
