// mmbatch_tokenize DIR: the tokenizer of a checkpoint folder, as a program to compare with others. JSON lines
// on standard input, one line out for each:
//   {"text": "…"}   → {"ids": […], "ids_special": […]}: without and with what is put around a text
//   {"ids": […]}    → {"decoded": "…", "decoded_skip": "…", "stream": […], "stream_skip": […]}: with special
//   tokens and
//                     without them, and the pieces that a streaming decoder gives, empty ones left out
//   anything else   → {"error": "…"}
// Exit code 0 when every line had an answer, 2 when the folder has no tokenizer that can be read.

#include <cstdio>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "text/tokenizer/tokenizer.h"

namespace {

using Json = nlohmann::ordered_json;
using mmbatch::SpecialTokens;
using mmbatch::Tokenizer;

std::vector<std::string> streamed(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ids,
                                  SpecialTokens special) {
  const auto stream = tokenizer.stream(special);
  std::vector<std::string> pieces;
  const auto take = [&](std::string piece) {
    if (!piece.empty()) pieces.push_back(std::move(piece));
  };
  for (const std::int32_t id : ids) {
    std::string piece;
    stream->push(id, piece);
    take(std::move(piece));
  }
  std::string rest;
  stream->finish(rest);
  take(std::move(rest));
  return pieces;
}

/// Ids beyond what a token can have are none of any token.
std::vector<std::int32_t> read_ids(const Json& list) {
  std::vector<std::int32_t> ids;
  for (const Json& id : list) {
    const auto value = id.get<std::int64_t>();
    ids.push_back(value >= 0 && value <= INT32_MAX ? static_cast<std::int32_t>(value) : -1);
  }
  return ids;
}

Json answer(const Tokenizer& tokenizer, const Json& line) {
  if (line.contains("text")) {
    const auto text = line.at("text").get<std::string>();
    return {{"ids", tokenizer.encode(text, SpecialTokens::without)},
            {"ids_special", tokenizer.encode(text, SpecialTokens::with)}};
  }
  const std::vector<std::int32_t> ids = read_ids(line.at("ids"));
  return {{"decoded", tokenizer.decode(ids, SpecialTokens::with)},
          {"decoded_skip", tokenizer.decode(ids, SpecialTokens::without)},
          {"stream", streamed(tokenizer, ids, SpecialTokens::with)},
          {"stream_skip", streamed(tokenizer, ids, SpecialTokens::without)}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: mmbatch_tokenize DIR < lines.jsonl\n");
    return 2;
  }
  std::ios::sync_with_stdio(false);
  try {
    const auto tokenizer = mmbatch::load_tokenizer(argv[1]);
    for (std::string line; std::getline(std::cin, line);) {
      Json out;
      try {
        out = answer(*tokenizer, Json::parse(line));
      } catch (const std::exception& e) {
        out = {{"error", e.what()}};
      }
      std::cout << out.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n' << std::flush;
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mmbatch_tokenize: %s\n", e.what());
    return 2;
  }
  return 0;
}
