#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "engine/base/error.h"
#include "jobs/listing/item_reader.h"
#include "jobs/manifest/manifest.h"
#include "jobs/results/database.h"
#include "jobs/results/store.h"
#include "tests/engine/temporary_folder.h"

namespace mmbatch::testing {

using TempFolder = TemporaryFolder;

inline std::string read_text(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

/// What `work` throws, as text; empty when it throws nothing of that type.
template <class E, class F>
std::string error_of(F&& work) {
  try {
    work();
  } catch (const E& e) {
    return e.what();
  }
  return {};
}

inline std::vector<ReadItem> read_all(const Manifest& manifest) {
  std::vector<ReadItem> items;
  const auto reader = open_items(manifest);
  while (auto item = reader->next()) items.push_back(std::move(*item));
  return items;
}

/// The items of a job whose `items` are a listing file with this content.
inline std::vector<ReadItem> read_listing(const TempFolder& folder, const std::string& name,
                                          const std::string& content, const std::string& job = "task: vqa") {
  folder.write(name, content);
  const auto file = folder.write("manifest.yaml", "jobs: [{name: j, " + job + ", items: " + name + "}]");
  return read_all(read_manifest(file));
}

/// "" for a good item, else "code: message".
inline std::string fault(const ReadItem& item) {
  if (!item.error) return {};
  return std::string(to_string(item.error->code)) + ": " + item.error->with_place().message;
}

inline Item make_item(const std::string& id, const std::string& prompt = "what is it?",
                      std::uint64_t position = 1) {
  Item item;
  item.id = id;
  item.position = position;
  item.prompt = prompt;
  item.images.push_back({"a.png", "/images/a.png", "", ""});
  return item;
}

/// An item as readers and results hold it.
inline std::shared_ptr<const Item> share(Item item) {
  return std::make_shared<const Item>(std::move(item));
}

inline ItemResult make_answer(const Item& item, const std::string& key, const std::string& answer) {
  ItemResult result;
  result.item = share(item);
  result.content_key = key;
  result.image_sha256 = {std::string(64, 'a')};
  result.answers.push_back({answer, "stop", -0.5, 2, ""});
  result.prompt_tokens = 7;
  result.ms.total = 1.5;
  return result;
}

inline ItemResult make_failure(const Item& item, const std::string& key, const char* stage, ErrorCode code) {
  ItemResult result;
  result.item = share(item);
  result.content_key = key;
  result.image_sha256 = {std::string(64, 'a')};
  result.failure = Failure{stage, code, "what went wrong"};
  return result;
}

inline RunInfo make_run(const std::string& settings = "{}") {
  RunInfo info;
  info.manifest = "/m.yaml";
  info.model = {"/model", "f00d", "tiny", "f32", "{}"};
  info.settings = settings;
  info.version = "0.1.0";
  info.machine = "here";
  Job job;
  job.name = "shapes";
  info.jobs.push_back(job);
  return info;
}

/// A key of 64 digits that differs by number.
inline std::string key_of(std::uint64_t number) {
  std::string key = std::to_string(number);
  return std::string(64 - key.size(), '0') + key;
}

/// Rows of a query, columns joined by '|'.
inline std::vector<std::string> rows(const std::filesystem::path& file, const std::string& sql) {
  Database database(file, Database::Mode::read_only);
  Statement statement = database.prepare(sql);
  std::vector<std::string> out;
  while (statement.step()) {
    std::string line;
    for (int i = 0; i < statement.columns(); ++i) line += (i > 0 ? "|" : "") + std::string(statement.text(i));
    out.push_back(line);
  }
  return out;
}

}  // namespace mmbatch::testing
